locals {
  shared = {
    NODE_ENV         = "production"
    HOST             = "0.0.0.0"
    TRUST_PROXY_HOPS = "1"
    MIGRATE_ON_START = "true"
    SHUTDOWN_ACCEPT  = "10s"
    SHUTDOWN_DRAIN   = "${var.drain_seconds}s"
    SHUTDOWN_CLOSE   = "12s"
  }
  url = { for name, host in var.hosts : name => "https://${host}" }
  keys_of = {
    auth       = ["JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "JWT_SERVICE_SECRET", "PASSWORD_PEPPER", "TOKEN_HASH_SECRET", "MFA_ENCRYPTION_KEYS", "AUDIT_CHAIN_SECRET", "AUDIT_ANCHOR_SECRET"]
    chat-proxy = ["JWT_ACCESS_SECRET", "JWT_SERVICE_SECRET"]
    accounting = ["JWT_ACCESS_SECRET", "JWT_SERVICE_SECRET", "LEDGER_SIGNING_SECRET"]
  }
  services = {
    auth = {
      port        = 3000, cpu = 1024, memory = 2048, count = 2, most = 10
      environment = { PUBLIC_BASE_URL = local.url.auth, MAIL_FROM = var.mail_from, ACCOUNTING_API_URL = "http://accounting:3001" }
      secrets     = { MONGODB_URI = var.mongodb_uri_secret_arns.auth, SMTP_URL = var.smtp_url_secret_arn }
    }
    chat-proxy = {
      port        = 8000, cpu = 1024, memory = 2048, count = 2, most = 40
      environment = merge({ AUTH_API_URL = "http://auth:3000", ACCOUNTING_API_URL = "http://accounting:3001" }, var.upstreams)
      secrets     = merge({ MONGODB_URI = var.mongodb_uri_secret_arns.chat-proxy }, var.upstream_secret_arns)
    }
    accounting = {
      port        = 3001, cpu = 1024, memory = 2048, count = 2, most = 8
      environment = { AUTH_API_URL = "http://auth:3000", MAIL_FROM = var.mail_from }
      secrets     = { DATABASE_URL = var.database_secret_arns.service, DATABASE_OWNER_URL = var.database_secret_arns.owner, SMTP_URL = var.smtp_url_secret_arn }
    }
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

# Services find each other as http://auth:3000, with connections spread over all tasks.
resource "aws_service_discovery_http_namespace" "this" {
  name = var.name
}

resource "aws_cloudwatch_log_group" "this" {
  for_each          = local.services
  name              = "/${var.name}/${each.key}"
  retention_in_days = 30
}

resource "aws_security_group" "tasks" {
  name   = "${var.name}-tasks"
  vpc_id = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "tasks" {
  security_group_id = aws_security_group.tasks.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "neighbours" {
  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "-1"
}

resource "aws_iam_role" "execution" {
  name = "${var.name}-execution"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = concat([for key in aws_secretsmanager_secret.key : key.arn], flatten([for service in local.services : values(service.secrets)]))
    }]
  })
}

resource "aws_ecs_task_definition" "this" {
  for_each                 = local.services
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.execution.arn
  volume { name = "tmp" }
  container_definitions = jsonencode([{
    name                   = each.key
    image                  = var.images[each.key]
    essential              = true
    readonlyRootFilesystem = true
    user                   = "1000"
    # The most that Fargate grants: accept, drain and close together are below it.
    stopTimeout  = 120
    portMappings = [{ name = "http", containerPort = each.value.port, appProtocol = "http" }]
    mountPoints  = [{ sourceVolume = "tmp", containerPath = "/tmp" }]
    environment = [
      for name, value in merge(local.shared, { PORT = tostring(each.value.port) }, each.value.environment) : { name = name, value = value }
    ]
    secrets = concat(
      [for name in local.keys_of[each.key] : { name = name, valueFrom = aws_secretsmanager_secret.key[name].arn }],
      [for name, arn in each.value.secrets : { name = name, valueFrom = arn }],
    )
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = aws_cloudwatch_log_group.this[each.key].name, awslogs-region = var.region, awslogs-stream-prefix = "task" }
    }
  }])
}

resource "aws_ecs_service" "this" {
  for_each                          = local.services
  name                              = each.key
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.this[each.key].arn
  desired_count                     = each.value.count
  launch_type                       = "FARGATE"
  health_check_grace_period_seconds = 120
  network_configuration {
    subnets         = var.private_subnet_ids
    security_groups = [aws_security_group.tasks.id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.this[each.key].arn
    container_name   = each.key
    container_port   = each.value.port
  }
  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_http_namespace.this.arn
    service {
      port_name = "http"
      client_alias {
        dns_name = each.key
        port     = each.value.port
      }
      # 0: no limit. Streams between services do not exist, calls have deadlines of their own.
      timeout { per_request_timeout_seconds = 0 }
    }
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  lifecycle { ignore_changes = [desired_count] }
  depends_on = [aws_lb_listener_rule.this]
}

resource "aws_appautoscaling_target" "this" {
  for_each           = local.services
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this[each.key].name}"
  min_capacity       = each.value.count
  max_capacity       = each.value.most
}

resource "aws_appautoscaling_policy" "cpu" {
  for_each           = local.services
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_in_cooldown  = 600
    scale_out_cooldown = 30
    predefined_metric_specification { predefined_metric_type = "ECSServiceAverageCPUUtilization" }
  }
}
