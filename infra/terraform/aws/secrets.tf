# Keys that nobody has to know. They are in the state of Terraform: keep that encrypted, and readable for few.
locals {
  keys = toset([
    "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "JWT_SERVICE_SECRET", "PASSWORD_PEPPER", "TOKEN_HASH_SECRET",
    "MFA_ENCRYPTION_KEYS", "AUDIT_CHAIN_SECRET", "AUDIT_ANCHOR_SECRET", "LEDGER_SIGNING_SECRET",
  ])
}

resource "random_id" "key" {
  for_each    = local.keys
  byte_length = 48
  lifecycle { prevent_destroy = true }
}

resource "aws_secretsmanager_secret" "key" {
  for_each = local.keys
  name     = "${var.name}/${lower(each.key)}"
}

resource "aws_secretsmanager_secret_version" "key" {
  for_each      = local.keys
  secret_id     = aws_secretsmanager_secret.key[each.key].id
  secret_string = random_id.key[each.key].hex
  # A key is replaced by hand, with the old one behind it (docs/runbook.md).
  lifecycle { ignore_changes = [secret_string] }
}
