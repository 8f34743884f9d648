{{- define "understudy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "understudy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "understudy.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "understudy.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "understudy.selector" -}}
app.kubernetes.io/name: {{ include "understudy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "understudy.labels" -}}
{{ include "understudy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "understudy.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "understudy.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "understudy.secret" -}}
{{- default (include "understudy.fullname" .) .Values.secrets.existing -}}
{{- end -}}

{{- define "understudy.hasSecret" -}}
{{- if or .Values.secrets.existing .Values.secrets.values -}}true{{- end -}}
{{- end -}}

{{/* The names that clients inside and outside of the cluster call the server by. */}}
{{- define "understudy.hosts" -}}
{{- $name := include "understudy.fullname" . -}}
{{- $names := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- concat $names .Values.ingress.hosts .Values.allowHosts | uniq | toYaml -}}
{{- end -}}

{{/* The server's file: what follows from the values, then whatever `config` says. */}}
{{- define "understudy.config" -}}
{{- $made := dict "host" "0.0.0.0" "port" 8700 "workers" .Values.workers "store" .Values.store "auth" .Values.auth "drain-seconds" .Values.drainSeconds "allow-host" (include "understudy.hosts" . | fromYamlArray) -}}
{{- if eq .Values.auth "none" }}{{ $_ := set $made "allow-open" true }}{{ end -}}
{{- if .Values.metricsAllow }}{{ $_ := set $made "metrics-allow" .Values.metricsAllow }}{{ end -}}
{{- if eq .Values.store "sqlite" }}{{ $_ := set $made "data" "/var/lib/understudy" }}{{ end -}}
{{- if eq .Values.store "cassandra" -}}
{{- $_ := set $made "cassandra-contact-points" .Values.cassandra.contactPoints -}}
{{- $_ := set $made "cassandra-keyspace" .Values.cassandra.keyspace -}}
{{- with .Values.cassandra.localDatacenter }}{{ $_ := set $made "cassandra-local-datacenter" . }}{{ end -}}
{{- with .Values.cassandra.username }}{{ $_ := set $made "cassandra-username" . }}{{ end -}}
{{- if .Values.cassandra.tlsSecret -}}
{{- $_ := set $made "cassandra-ca-file" "/etc/understudy/cassandra/ca.crt" -}}
{{- if .Values.cassandra.clientCertificate -}}
{{- $_ := set $made "cassandra-cert-file" "/etc/understudy/cassandra/tls.crt" -}}
{{- $_ := set $made "cassandra-key-file" "/etc/understudy/cassandra/tls.key" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.store "astra" -}}
{{- $_ := set $made "astra-database" .Values.astra.database -}}
{{- $_ := set $made "astra-keyspace" .Values.astra.keyspace -}}
{{- with .Values.astra.create }}{{ $_ := set $made "astra-create" . }}{{ end -}}
{{- end -}}
{{- if .Values.tls.secret -}}
{{- $_ := set $made "tls-cert" "/etc/understudy/tls/tls.crt" -}}
{{- $_ := set $made "tls-key" "/etc/understudy/tls/tls.key" -}}
{{- end -}}
{{- mergeOverwrite $made .Values.config | toYaml -}}
{{- end -}}

{{/* What cannot work is said before anything is installed. */}}
{{- define "understudy.check" -}}
{{- if and (eq .Values.store "sqlite") .Values.autoscaling.enabled }}{{ fail "autoscaling needs store: cassandra or astra; with sqlite there is one pod" }}{{ end -}}
{{- if and (eq .Values.store "cassandra") (not .Values.cassandra.contactPoints) }}{{ fail "store: cassandra needs cassandra.contactPoints" }}{{ end -}}
{{- if and (eq .Values.auth "astra") (ne .Values.store "astra") }}{{ fail "auth: astra goes with store: astra only" }}{{ end -}}
{{- if and .Values.secrets.existing .Values.secrets.values }}{{ fail "secrets.existing and secrets.values exclude each other" }}{{ end -}}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.cpu) (not .Values.autoscaling.activeRuns) }}{{ fail "autoscaling needs cpu or activeRuns" }}{{ end -}}
{{- end -}}

{{/* The pod, the same in a Deployment and in a StatefulSet. */}}
{{- define "understudy.pod" -}}
metadata:
  labels:
    {{- include "understudy.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Another configuration is another pod; keys and providers alone are also read anew by pods that run.
    checksum/config: {{ include "understudy.config" . | sha256sum }}
    {{- if .Values.secrets.values }}
    checksum/secret: {{ .Values.secrets.values | toYaml | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "understudy.serviceAccount" . }}
  automountServiceAccountToken: false
  # They would set UNDERSTUDY_PORT and the like.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # The pause, the drain, and what closing takes after it.
  terminationGracePeriodSeconds: {{ add .Values.preStopSeconds .Values.drainSeconds 15 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: understudy
      image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/understudy/config/understudy.yaml]
      ports:
        - name: http
          containerPort: 8700
          protocol: TCP
      {{- with .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if include "understudy.hasSecret" . }}
      envFrom:
        - secretRef:
            name: {{ include "understudy.secret" . }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      # A start may have to make the tables of a cluster, or to wait for another pod that does.
      startupProbe:
        httpGet:
          path: /health
          port: http
          {{- include "understudy.scheme" . | nindent 10 }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 90
      livenessProbe:
        httpGet:
          path: /health
          port: http
          {{- include "understudy.scheme" . | nindent 10 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /ready
          port: http
          {{- include "understudy.scheme" . | nindent 10 }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.preStopSeconds }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/understudy/config
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- if eq .Values.store "sqlite" }}
        - name: data
          mountPath: /var/lib/understudy
        {{- end }}
        {{- if and (eq .Values.store "cassandra") .Values.cassandra.tlsSecret }}
        - name: cassandra-tls
          mountPath: /etc/understudy/cassandra
          readOnly: true
        {{- end }}
        {{- if .Values.tls.secret }}
        - name: tls
          mountPath: /etc/understudy/tls
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "understudy.fullname" . }}
    - name: tmp
      emptyDir: {}
    {{- if and (eq .Values.store "cassandra") .Values.cassandra.tlsSecret }}
    - name: cassandra-tls
      secret:
        secretName: {{ .Values.cassandra.tlsSecret }}
    {{- end }}
    {{- if .Values.tls.secret }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secret }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "understudy.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
{{- end -}}

{{- define "understudy.scheme" -}}
scheme: {{ if .Values.tls.secret }}HTTPS{{ else }}HTTP{{ end }}
{{- end -}}
