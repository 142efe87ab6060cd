{{- define "tollgate.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}

{{/* Labels of everything; takes (dict "root" $ "service" name). */}}
{{- define "tollgate.labels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/part-of: tollgate
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{- end -}}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: {{ .service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "tollgate.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := (index .root.Values.services .service).digest -}}
{{- if $image.registry }}{{ $image.registry }}/{{ end }}{{ $image.repository }}/{{ .service }}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end -}}

{{/* What has to pass between the signal to stop and a kill. */}}
{{- define "tollgate.grace" -}}
{{- with .Values.shutdown }}{{ add .preStop .accept .drain .close .spare }}{{ end -}}
{{- end -}}

{{- define "tollgate.url" -}}
http://{{ include "tollgate.name" .root }}-{{ .service }}:{{ (index .root.Values.services .service).port }}
{{- end -}}

{{/* The environment of a service; takes (dict "root" $ "service" name "secrets" list). */}}
{{- define "tollgate.environment" -}}
{{- $values := .root.Values -}}
{{- $own := index $values.services .service -}}
- name: NODE_ENV
  value: production
- name: HOST
  value: 0.0.0.0
- name: PORT
  value: {{ $own.port | quote }}
- name: LOG_LEVEL
  value: {{ $values.logLevel | quote }}
- name: ALLOWED_ORIGINS
  value: {{ $values.allowedOrigins | quote }}
- name: TRUST_PROXY_HOPS
  value: {{ $values.trustedProxies | quote }}
- name: MIGRATE_ON_START
  value: 'false'
- name: SHUTDOWN_ACCEPT
  value: {{ printf "%ds" (int $values.shutdown.accept) }}
- name: SHUTDOWN_DRAIN
  value: {{ printf "%ds" (int $values.shutdown.drain) }}
- name: SHUTDOWN_CLOSE
  value: {{ printf "%ds" (int $values.shutdown.close) }}
{{- if eq .service "auth" }}
- name: PUBLIC_BASE_URL
  value: {{ required "publicBaseUrl is needed" $values.publicBaseUrl | quote }}
- name: ACCOUNTING_API_URL
  value: {{ include "tollgate.url" (dict "root" .root "service" "accounting") }}
- name: MONGO_POOL_SIZE
  value: {{ $values.mongo.poolSize | quote }}
{{- else if eq .service "chat-proxy" }}
- name: AUTH_API_URL
  value: {{ include "tollgate.url" (dict "root" .root "service" "auth") }}
- name: ACCOUNTING_API_URL
  value: {{ include "tollgate.url" (dict "root" .root "service" "accounting") }}
- name: MONGO_POOL_SIZE
  value: {{ $values.mongo.poolSize | quote }}
{{- else }}
- name: AUTH_API_URL
  value: {{ include "tollgate.url" (dict "root" .root "service" "auth") }}
- name: DB_POOLING
  value: {{ $values.postgres.pooling | quote }}
- name: DB_POOL_SIZE
  value: {{ $values.postgres.poolSize | quote }}
- name: DB_REPORT_POOL_SIZE
  value: {{ $values.postgres.reportPoolSize | quote }}
{{- end }}
{{- if ne .service "chat-proxy" }}
- name: MAIL_FROM
  value: {{ required "mailFrom is needed" $values.mailFrom | quote }}
{{- end }}
{{- range $name := .secrets }}
- name: {{ $name }}_FILE
  value: /run/secrets/{{ $name | lower }}
{{- end }}
{{- range $name, $value := $own.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* The secrets as files that only the service reads, whatever other keys the Secret has. */}}
{{- define "tollgate.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 1Gi }
- name: secrets
  secret:
    secretName: {{ (index .root.Values.services .service).existingSecret }}
    defaultMode: 0440
    items:
      {{- range $name := .secrets }}
      - key: {{ $name | lower }}
        path: {{ $name | lower }}
      {{- end }}
{{- end -}}

{{- define "tollgate.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets
  readOnly: true
{{- end -}}

{{- define "tollgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "tollgate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}
