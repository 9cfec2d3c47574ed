{{- define "txtoken.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "txtoken.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "txtoken.labels" -}}
{{ include "txtoken.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "txtoken.secretName" -}}
{{- if .Values.secret.existing -}}
{{- .Values.secret.existing -}}
{{- else -}}
{{- include "txtoken.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* The whole configuration file: what was given as `config`, and what the chart knows better. */}}
{{- define "txtoken.config" -}}
{{- range list "port" "adminPort" "workers" "encKey" "encKeyFile" "requestKey" "requestKeyFile" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "config.%s cannot be set: the chart sets it (see `secret`, `workers` and `adminPort` in its values)" .) -}}
{{- end -}}
{{- end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "remote" (required "config.remote is required: the URL that logins are POSTed to" .Values.config.remote) -}}
{{- $_ := set $config "workers" .Values.workers -}}
{{- with .Values.adminPort -}}
{{- $_ := set $config "adminPort" (int .) -}}
{{- end -}}
{{- $_ := set $config "encKeyFile" (printf "/secrets/%s" .Values.secret.encKeyName) -}}
{{- if .Values.secret.requestKeyName -}}
{{- $_ := set $config "requestKeyFile" (printf "/secrets/%s" .Values.secret.requestKeyName) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What a running service does not take over, so that the pods have to be replaced when it changes. */}}
{{- define "txtoken.fixed" -}}
{{- $format := dig "log" "format" "" .Values.config -}}
listen={{ toJson .Values.config.listen }} workers={{ .Values.workers }} adminPort={{ .Values.adminPort }} log.format={{ $format | default (ternary "text" "json" (eq (toString .Values.config.debug) "true")) }} forwardAuth.listen={{ toJson .Values.config.forwardAuth }}
{{- end -}}

{{/* The name of the port that health is on. */}}
{{- define "txtoken.healthPort" -}}
{{- ternary "metrics" "http" (ne (int .Values.adminPort) 0) -}}
{{- end -}}
