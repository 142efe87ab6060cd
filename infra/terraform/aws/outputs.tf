output "balancer" {
  description = "What the three hosts point at."
  value       = aws_lb.this.dns_name
}

output "postgres" {
  description = "Where accounting's database and its two roles are to be made (infra/postgres/init)."
  value       = aws_db_instance.accounting.endpoint
}

output "mongo" {
  description = "Where the databases of auth and chat-proxy and their roles are to be made. Add tls=true&retryWrites=false."
  value       = aws_docdb_cluster.this.endpoint
}
