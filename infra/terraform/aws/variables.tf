variable "region" {
  type        = string
  description = "Where everything is."
  default     = "eu-central-1"
}

variable "name" {
  type        = string
  description = "Begins the name of every resource."
  default     = "tollgate"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Small letters, digits and hyphens, at most 21."
  }
}

variable "vpc_id" {
  type        = string
  description = "A network that exists."
}

variable "private_subnet_ids" {
  type        = list(string)
  description = "For containers and databases, in two zones at least, with a way out to the AI servers."
  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "Two zones at least."
  }
}

variable "public_subnet_ids" {
  type        = list(string)
  description = "For the load balancer."
}

variable "certificate_arn" {
  type        = string
  description = "Certificate of the hosts below."
}

variable "hosts" {
  type        = object({ auth = string, chat-proxy = string, accounting = string })
  description = "Names under which the services are reached."
}

variable "images" {
  type        = object({ auth = string, chat-proxy = string, accounting = string })
  description = "Images by digest."
}

variable "mail_from" {
  type        = string
  description = "The sender of mails."
}

variable "smtp_url_secret_arn" {
  type        = string
  description = "A secret that holds smtps://user:password@host:465."
}

variable "upstreams" {
  type        = map(string)
  description = "Further variables of chat-proxy, such as OPENAI_BASE_URL."
  default     = {}
}

variable "upstream_secret_arns" {
  type        = map(string)
  description = "Secrets of chat-proxy by variable, such as OPENAI_API_KEY."
  default     = {}
}

variable "mongodb_uri_secret_arns" {
  type        = object({ auth = string, chat-proxy = string })
  description = "Secrets that hold the addresses of the two MongoDB databases, each with a role of its own. Made after the cluster."
}

variable "database_secret_arns" {
  type        = object({ service = string, owner = string })
  description = "Secrets that hold DATABASE_URL and DATABASE_OWNER_URL of accounting. Made after the instance."
}

variable "drain_seconds" {
  type        = number
  description = "How long answers may go on in a task that is replaced. ECS kills a task 120 s after the signal."
  default     = 90
  validation {
    condition     = var.drain_seconds >= 0 && var.drain_seconds <= 95
    error_message = "120 s less what is accepted and closed before and after: at most 95."
  }
}
