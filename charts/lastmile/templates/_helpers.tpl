{{/* Labels of an object; the argument is a list of the root context and the program's name. */}}
{{- define "lastmile.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/part-of: lastmile
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{ include "lastmile.selector" . }}
{{- end -}}

{{/* What a program's pods are selected by. */}}
{{- define "lastmile.selector" -}}
app.kubernetes.io/name: lastmile-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{/* A pod that needs nothing of its node. */}}
{{- define "lastmile.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "lastmile.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "lastmile.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: {{ . }} }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: {{ . }} }
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: {{ . }} }
  periodSeconds: 3
{{- end -}}
