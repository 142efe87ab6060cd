# Managed PostgreSQL for accounting, with a standby in another zone.
resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_security_group" "databases" {
  name   = "${var.name}-databases"
  vpc_id = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "databases" {
  for_each                     = { postgres = 5432, mongo = 27017 }
  security_group_id            = aws_security_group.databases.id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-18"
  family = "postgres18"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_db_instance" "accounting" {
  identifier                      = "${var.name}-accounting"
  engine                          = "postgres"
  engine_version                  = "18"
  instance_class                  = "db.m7g.large"
  allocated_storage               = 100
  max_allocated_storage           = 1000
  storage_type                    = "gp3"
  storage_encrypted               = true
  multi_az                        = true
  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.databases.id]
  parameter_group_name            = aws_db_parameter_group.this.name
  username                        = "postgres"
  manage_master_user_password     = true
  backup_retention_period         = 14
  deletion_protection             = true
  performance_insights_enabled    = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  final_snapshot_identifier       = "${var.name}-accounting-last"
  lifecycle { prevent_destroy = true }
}

# MongoDB-compatible, for auth and chat-proxy: code of Tollgate relies on single documents only, which DocumentDB keeps to.
resource "aws_docdb_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_docdb_cluster" "this" {
  cluster_identifier          = var.name
  engine                      = "docdb"
  engine_version              = "5.0.0"
  master_username             = "tollgate_root"
  manage_master_user_password = true
  db_subnet_group_name        = aws_docdb_subnet_group.this.name
  vpc_security_group_ids      = [aws_security_group.databases.id]
  storage_encrypted           = true
  backup_retention_period     = 14
  deletion_protection         = true
  final_snapshot_identifier   = "${var.name}-last"
  lifecycle { prevent_destroy = true }
}

resource "aws_docdb_cluster_instance" "this" {
  count              = 2
  identifier         = "${var.name}-${count.index}"
  cluster_identifier = aws_docdb_cluster.this.id
  instance_class     = "db.r6g.large"
}
