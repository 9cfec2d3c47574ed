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

{{- define "txtoken.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 58 | trimSuffix "-" -}}
{{- end -}}

{{- define "txtoken.selector" -}}
app.kubernetes.io/name: {{ include "txtoken.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pod of `helm test`. Its name differs: the Service must not select it. */}}
{{- define "txtoken.testSelector" -}}
app.kubernetes.io/name: {{ include "txtoken.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "txtoken.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "txtoken.labels" -}}
{{ include "txtoken.selector" . }}
{{ include "txtoken.commonLabels" . }}
{{- end -}}

{{/* What all objects have: a name, labels, annotations. Takes a dictionary: root, and name, labels, annotations where the object
has its own. */}}
{{- define "txtoken.metadata" -}}
name: {{ .name | default (include "txtoken.fullname" .root) }}
labels:
  {{- include "txtoken.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "txtoken.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "txtoken.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "txtoken.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* The Secret that is mounted: an existing one, or the chart's, or none with a keyset. */}}
{{- define "txtoken.secretName" -}}
{{- if .Values.secret.existing -}}
{{- .Values.secret.existing -}}
{{- else if or .Values.secret.encKeyName .Values.secret.requestKeyName -}}
{{- include "txtoken.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* The whole configuration file: `config`, and what the chart sets. */}}
{{- define "txtoken.config" -}}
{{- range list "port" "adminPort" "workers" "encKey" "encKeyFile" "requestKey" "requestKeyFile" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "config.%s cannot be set: the chart sets it (see `secret`, `workers` and `adminPort` in its values)" .) -}}
{{- end -}}
{{- end -}}
{{- include "txtoken.refuse" . -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "remote" (required "config.remote is required: the URL that logins are POSTed to" .Values.config.remote) -}}
{{- $_ := set $config "workers" .Values.workers -}}
{{- with .Values.adminPort -}}
{{- $_ := set $config "adminPort" (int .) -}}
{{- end -}}
{{- with .Values.secret.encKeyName -}}
{{- $_ := set $config "encKeyFile" (printf "/secrets/%s" .) -}}
{{- end -}}
{{- with .Values.secret.requestKeyName -}}
{{- $_ := set $config "requestKeyFile" (printf "/secrets/%s" .) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Fail for a configuration that is valid and cannot work in a pod, or would put a secret into a ConfigMap. */}}
{{- define "txtoken.refuse" -}}
{{- $config := .Values.config -}}
{{- if not (or .Values.secret.encKeyName $config.keys) -}}
{{- fail "secret.encKeyName is required without config.keys: nothing else signs" -}}
{{- end -}}
{{- if kindIs "slice" $config.keys -}}
{{- range $config.keys -}}
{{- if .secret -}}
{{- fail "config.keys: a `secret` would be readable in a ConfigMap: put it into the Secret of secret.existing, and set secretFile: /secrets/NAME" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if contains "@" (toString $config.remoteProxy) -}}
{{- fail "config.remoteProxy: user and password would be readable in a ConfigMap: put the URL into the Secret of secret.existing, and set config.remoteProxyFile: /secrets/NAME" -}}
{{- end -}}
{{- with $config.listen -}}
{{- $reachable := list -}}
{{- range (kindIs "slice" . | ternary . (list .)) -}}
{{- if not (eq (include "txtoken.isLocal" .) "true") -}}
{{- $reachable = append $reachable . -}}
{{- end -}}
{{- end -}}
{{- if not $reachable -}}
{{- fail "config.listen: nothing outside of the pod can reach these addresses, not even probes: remove config.listen, or add an address" -}}
{{- end -}}
{{- end -}}
{{- if and (dig "clientCaFile" "" ($config.tls | default dict)) (not .Values.adminPort) -}}
{{- fail "config.tls.clientCaFile needs adminPort: probes have no client certificate" -}}
{{- end -}}
{{- end -}}

{{/* Whether only the pod itself reaches an address. */}}
{{- define "txtoken.isLocal" -}}
{{- regexMatch `^(unix:|localhost|127\.|::1$|\[::1\])` . -}}
{{- end -}}

{{/* What a running service cannot reload: pods are replaced when it changes. */}}
{{- define "txtoken.fixed" -}}
{{- $format := dig "log" "format" "" .Values.config -}}
listen={{ toJson .Values.config.listen }} workers={{ .Values.workers }} adminPort={{ .Values.adminPort }} log.format={{ $format | default (ternary "text" "json" (eq (toString .Values.config.debug) "true")) }} forwardAuth.listen={{ include "txtoken.forwardAuthListen" . }} tls={{ empty .Values.config.tls | not }}
{{- end -}}

{{/* The addresses of config.forwardAuth.listen, as a JSON list. */}}
{{- define "txtoken.forwardAuthListen" -}}
{{- $sections := .Values.config.forwardAuth | default list -}}
{{- $addresses := list -}}
{{- range (kindIs "map" $sections | ternary (list $sections) $sections) -}}
{{- with .listen -}}
{{- $addresses = append $addresses . -}}
{{- end -}}
{{- end -}}
{{- $addresses | toJson -}}
{{- end -}}

{{/* Those of their ports that other pods can reach, as a JSON list. */}}
{{- define "txtoken.forwardAuthPorts" -}}
{{- $ports := list -}}
{{- range include "txtoken.forwardAuthListen" . | fromJsonArray -}}
{{- if not (eq (include "txtoken.isLocal" .) "true") -}}
{{- $port := regexFind "[0-9]+$" . | int -}}
{{- if has $port (list 0 8888 (int $.Values.adminPort) (int $.Values.service.port)) -}}
{{- fail (printf "config.forwardAuth.listen: port %d cannot be used: choose one that differs from 8888, adminPort and service.port" $port) -}}
{{- end -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* The port of a URL. Empty for a Unix socket. */}}
{{- define "txtoken.urlPort" -}}
{{- $url := lower . -}}
{{- if not (hasPrefix "http+unix:" $url) -}}
{{- $port := regexReplaceAll `^[a-z]+://([^/?#@]*@)?(\[[^\]]*\]|[^/:?#]*)(:([0-9]*))?.*$` $url "${4}" -}}
{{- $port | default (hasPrefix "https:" $url | ternary "443" "80") -}}
{{- end -}}
{{- end -}}

{{/* The ports that logins are sent to, as a JSON list: the remotes', or their proxy's. */}}
{{- define "txtoken.remotePorts" -}}
{{- $proxy := hasKey .Values.config "remoteProxy" | ternary .Values.config.remoteProxy "env" | toString | lower -}}
{{- $urls := list -}}
{{- range list .Values.config.remote (dig "remote" "" (.Values.config.refresh | default dict)) -}}
{{- if . -}}
{{- $urls = append $urls . -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.remotePorts -}}
{{- toJson .Values.networkPolicy.remotePorts -}}
{{- else -}}
{{- $ports := list -}}
{{- if .Values.config.remoteProxyFile -}}
{{- if not .Values.networkPolicy.egress -}}
{{- fail "config.remoteProxyFile: set networkPolicy.remotePorts to the port of the proxy: the chart cannot read it from the file" -}}
{{- end -}}
{{- $urls = list -}}
{{- else if hasPrefix "http" $proxy -}}
{{- $urls = list $proxy -}}
{{- else if not (has $proxy (list "off" "false")) -}}
{{- range .Values.extraEnv -}}
{{- if and .value (has (upper .name) (list "HTTP_PROXY" "HTTPS_PROXY")) -}}
{{- $urls = append $urls (contains "://" .value | ternary .value (printf "http://%s" .value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $urls -}}
{{- with include "txtoken.urlPort" . -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
{{- end -}}

{{/* The paths that clients need, as a JSON list. */}}
{{- define "txtoken.paths" -}}
{{- $config := .Values.config -}}
{{- $paths := list ($config.getTokenRoute | default "/getToken") ($config.checkTokenRoute | default "/checkToken") -}}
{{- if kindIs "map" $config.refresh -}}
{{- $route := $config.refresh.route | default "/refreshToken" -}}
{{- $paths = append $paths $route -}}
{{- if dig "name" "" ($config.cookie | default dict) -}}
{{- $paths = append $paths (printf "%s/end" $route) -}}
{{- end -}}
{{- end -}}
{{- toJson $paths -}}
{{- end -}}

{{/* How clients' port is spoken to. */}}
{{- define "txtoken.scheme" -}}
{{- empty .Values.config.tls | ternary "http" "https" -}}
{{- end -}}

{{/* The Service for what stays inside the cluster: the only one, unless that one is open to more. */}}
{{- define "txtoken.internalName" -}}
{{- if eq .Values.service.type "ClusterIP" -}}
{{- include "txtoken.fullname" . -}}
{{- else -}}
{{- include "txtoken.fullname" . | trunc 54 | trimSuffix "-" }}-internal
{{- end -}}
{{- end -}}

{{/* The ports that stay inside the cluster: metrics, and forward authentication. */}}
{{- define "txtoken.internalPorts" -}}
{{- with .Values.adminPort }}
- {name: metrics, port: {{ . }}, targetPort: metrics}
{{- end }}
{{- $scheme := include "txtoken.scheme" . }}
{{- range include "txtoken.forwardAuthPorts" . | fromJsonArray }}
- {name: auth-{{ . }}, port: {{ . }}, targetPort: auth-{{ . }}, appProtocol: {{ $scheme }}}
{{- end }}
{{- end -}}
