{{/* One hackathon per namespace: names are fixed, and the namespace separates releases. */}}
{{- define "alcove.labels" -}}
app.kubernetes.io/name: alcove
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: alcove
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Labels of pods. Nothing here changes with the chart's version, or every upgrade would restart the store. */}}
{{- define "alcove.podLabels" -}}
app.kubernetes.io/name: alcove
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: alcove
{{- end }}

{{- define "alcove.competition" -}}
{{ .Values.competition.name | default .Release.Name }}
{{- end }}

{{/* What the label of a team's namespace says: which competition it takes part in. */}}
{{- define "alcove.competitionKey" -}}
{{ .Release.Namespace }}.{{ include "alcove.competition" . }}
{{- end }}

{{/* Namespace of a team. Takes a list: root, team. */}}
{{- define "alcove.teamNamespace" -}}
{{- $root := index . 0 }}{{- $team := index . 1 -}}
{{ $team.namespace | default (printf "%s-%s" $root.Release.Namespace $team.name) }}
{{- end }}

{{/* Not empty where the API server knows the policy that keeps teams from changing Submissions. */}}
{{- define "alcove.hasSubmissionPolicy" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}true{{ end }}
{{- end }}

{{- define "alcove.submissionPolicy" -}}
alcove-submissions.{{ .Release.Namespace }}
{{- end }}

{{/* Reference of an image of the project. Takes a list: root, its key of `images`. */}}
{{- define "alcove.image" -}}
{{- $root := index . 0 }}{{- $key := index . 1 }}{{- $name := kebabcase $key -}}
{{- if not (or (index $root.Values.images $key) $root.Values.images.repository) }}
{{- fail (printf "images: nothing says where the image %s is. Push the images with make images REGISTRY=…, and give -f images.yaml, which it writes (docs/install.md), or set images.repository." $name) }}
{{- end }}
{{- index $root.Values.images $key | default (printf "%s/%s:%s" $root.Values.images.repository $name $root.Chart.AppVersion) }}
{{- end }}

{{/* Reference of the image of code.framework numpy; empty where an image `ingestion` of one's own is to run it, too. */}}
{{- define "alcove.numpyImage" -}}
{{- if or .Values.images.ingestionNumpy (not .Values.images.ingestion) }}
{{- include "alcove.image" (list . "ingestionNumpy") }}
{{- end }}
{{- end }}

{{- define "alcove.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The server whose interface makes users: that in the cluster, or what the external store speaks. */}}
{{- define "alcove.storeServer" -}}
{{ ternary .Values.store.external.users .Values.store.kind (eq .Values.store.kind "external") }}
{{- end }}

{{/* "true" where the store in the cluster speaks TLS. */}}
{{- define "alcove.storeTls" -}}
{{- if and (ne .Values.store.kind "external") (or .Values.store.tls.secret .Values.store.tls.issuer) }}true{{ end }}
{{- end }}

{{- define "alcove.storeTlsSecret" -}}
{{ .Values.store.tls.secret | default "alcove-store-tls" }}
{{- end }}

{{/* Secret whose ca.crt the store's certificate is checked with; empty: the authorities that the images know. */}}
{{- define "alcove.storeCaSecret" -}}
{{- if include "alcove.storeTls" . }}{{ include "alcove.storeTlsSecret" . }}
{{- else if eq .Values.store.kind "external" }}{{ .Values.store.external.caSecret }}{{ end }}
{{- end }}

{{- define "alcove.storeEndpoint" -}}
{{- if eq .Values.store.kind "external" -}}
{{ .Values.store.external.endpoint }}
{{- else -}}
{{ ternary "https" "http" (eq (include "alcove.storeTls" .) "true") }}://alcove-store.{{ .Release.Namespace }}.svc:9000
{{- end }}
{{- end }}

{{- define "alcove.storeAdminSecret" -}}
{{ ternary .Values.store.external.adminSecret "alcove-store-root" (eq .Values.store.kind "external") }}
{{- end }}

{{- define "alcove.storeEnvironment" -}}
- {name: ALCOVE_STORE_ENDPOINT, value: {{ include "alcove.storeEndpoint" . | quote }}}
- {name: ALCOVE_STORE_REGION, value: {{ .Values.store.region | quote }}}
- {name: ALCOVE_STORE_BUCKET, value: {{ .Values.store.bucket | quote }}}
- {name: ALCOVE_STORE_SOLUTIONS_BUCKET, value: {{ .Values.store.solutionsBucket | quote }}}
- {name: ALCOVE_STORE_UPLOADS_BUCKET, value: {{ .Values.store.uploadsBucket | quote }}}
{{ include "alcove.storeConnection" . }}
{{- end }}

{{/* How every process reaches the store, whoever it is. */}}
{{- define "alcove.storeConnection" -}}
- {name: ALCOVE_STORE_STYLE, value: {{ ternary .Values.store.external.style "path" (eq .Values.store.kind "external") | quote }}}
{{- if include "alcove.storeCaSecret" . }}
- {name: ALCOVE_STORE_CA, value: /alcove/store-ca/ca.crt}
{{- end }}
{{- end }}

{{- define "alcove.storeCaMount" -}}
{{- if include "alcove.storeCaSecret" . }}
- {name: store-ca, mountPath: /alcove/store-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* The certificate of the authority alone: the same Secret may hold the server's key. */}}
{{- define "alcove.storeCaVolume" -}}
{{- with include "alcove.storeCaSecret" . }}
- name: store-ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{/* Access key of a user of the store, letters and digits, as SeaweedFS wants it. Takes a list of words that name the user. */}}
{{- define "alcove.accessKey" -}}
{{- $name := join "." . -}}
{{ regexReplaceAll "[^a-z0-9]" $name "" | trunc 80 }}{{ sha256sum $name | trunc 16 }}
{{- end }}

{{/* How the kubelet asks the store's server whether it is there. */}}
{{- define "alcove.storeProbe" -}}
{{- $ready := index . 1 }}{{- $root := index . 0 -}}
{{- $minio := printf "/minio/health/%s" (ternary "ready" "live" $ready) -}}
{{- $path := ternary $minio (ternary "/readyz" "/healthz" $ready) (eq $root.Values.store.kind "minio") -}}
httpGet: {path: {{ $path }}, port: 9000, scheme: {{ ternary "HTTPS" "HTTP" (eq (include "alcove.storeTls" $root) "true") }}}
{{- end }}

{{- define "alcove.storeReady" -}}
{{ include "alcove.storeProbe" (list . true) }}
periodSeconds: 2
{{- end }}

{{- define "alcove.storeLive" -}}
{{ include "alcove.storeProbe" (list . false) }}
periodSeconds: 10
timeoutSeconds: 5
failureThreshold: 6
{{- end }}

{{/* What SeaweedFS reads when it starts, but for the key that it signs with. */}}
{{- define "alcove.iam" -}}
{{- $file := .Files.Get "files/seaweedfs-iam.json" -}}
{{- range $role := list "operator" "scorer" -}}
{{- $key := include "alcove.accessKey" (list $.Release.Namespace $role) -}}
{{- $user := include "alcove.credentials" (list $ $.Release.Namespace (printf "alcove-store-%s" $role) $key) | fromJson -}}
{{- $file = $file | replace (upper $role) $user.access_key -}}
{{- end -}}
{{ $file | replace "SOLUTIONS" .Values.store.solutionsBucket | replace "BUCKET" .Values.store.bucket }}
{{- end }}

{{/* What the Prometheus operator's Prometheuses in the cluster select: labels of monitors and rules, and their namespaces. */}}
{{- define "alcove.prometheuses" -}}
{{- $monitors := dict }}{{- $rules := dict }}{{- $namespaces := list }}
{{- if and .Values.monitoring.findPrometheus (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/Prometheus") }}
{{- range (lookup "monitoring.coreos.com/v1" "Prometheus" "" "").items }}
{{- $monitors = merge $monitors (dig "spec" "serviceMonitorSelector" "matchLabels" dict .) }}
{{- $rules = merge $rules (dig "spec" "ruleSelector" "matchLabels" dict .) }}
{{- $namespaces = append $namespaces .metadata.namespace }}
{{- end }}
{{- end }}
{{- dict "monitorLabels" $monitors "ruleLabels" $rules "namespaces" (uniq $namespaces) | toYaml }}
{{- end }}

{{- define "alcove.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "alcove.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Resources of hooks and tests, which work for seconds. */}}
{{- define "alcove.hookResources" -}}
requests: {cpu: 10m, memory: 64Mi}
limits: {memory: 256Mi}
{{- end }}

{{/* The interpreter of the operator's image; its entry point is the operator itself. */}}
{{- define "alcove.python" -}}
/opt/alcove/bin/python
{{- end }}

{{/*
credentials.json of a store user: what the cluster holds, or new. Takes a list: root, namespace, Secret, access key. Of another
server than before only a key that this one takes is used again.
*/}}
{{- define "alcove.credentials" -}}
{{- $root := index . 0 }}{{- $key := index . 3 -}}
{{- $found := lookup "v1" "Secret" (index . 1) (index . 2) -}}
{{- $old := dict -}}
{{- if and $found (hasKey ($found.data | default dict) "credentials.json") -}}
{{- $old = index $found.data "credentials.json" | b64dec | fromJson -}}
{{- end -}}
{{- if and $old (or (ne (include "alcove.storeServer" $root) "seaweedfs") (regexMatch "^[A-Za-z0-9]{1,128}$" $old.access_key)) -}}
{{ toJson $old }}
{{- else -}}
{{ dict "access_key" $key "secret_key" (randAlphaNum 40) | toJson }}
{{- end }}
{{- end }}

{{/* What no schema can say. Included once, by the operator's template. */}}
{{- define "alcove.check" -}}
{{- $server := lookup "apps/v1" "StatefulSet" .Release.Namespace "alcove-store" -}}
{{- if and $server (ne .Values.store.kind "external") }}
{{- $found := (first $server.spec.template.spec.containers).name }}
{{- if ne $found .Values.store.kind }}
{{- fail (printf "store.kind: the store of this release is %s, and %s would not find what is in it. Set store.kind: %s, or move what is in it first (docs/install.md)." $found .Values.store.kind $found) }}
{{- end }}
{{- end }}
{{- $seen := dict .Release.Namespace "the release" -}}
{{- range .Values.teams }}
{{- $namespace := include "alcove.teamNamespace" (list $ .) -}}
{{- if gt (len $namespace) 63 }}
{{- fail (printf "teams: the namespace %s of team %s is longer than 63 characters: set a shorter teams[].namespace." $namespace .name) }}
{{- end }}
{{- if hasKey $seen $namespace }}
{{- fail (printf "teams: team %s and %s share the namespace %s, but the namespace is the team: give each its own." .name (get $seen $namespace) $namespace) }}
{{- end }}
{{- $_ := set $seen $namespace (printf "team %s" .name) }}
{{- end }}
{{- $shown := dict }}
{{- range .Values.teams }}{{- $_ := set $shown (lower (include "alcove.teamNamespace" (list $ .))) (printf "the namespace of team %s" .name) }}{{- end }}
{{- range .Values.teams }}
{{- if .displayName }}
{{- $name := lower .displayName }}
{{- if and (hasKey $shown $name) (ne $name (include "alcove.teamNamespace" (list $ .))) }}
{{- fail (printf "teams: the display name %q of team %s is %s already: nobody could tell them apart on a board." .displayName .name (get $shown $name)) }}
{{- end }}
{{- $_ := set $shown $name (printf "that of team %s" .name) }}
{{- end }}
{{- end }}
{{- $datasets := dict }}{{- $aliases := dict }}
{{- range .Values.datasets }}
{{- if hasKey $datasets .name }}{{ fail (printf "datasets: there are two named %s." .name) }}{{ end }}
{{- if hasKey $aliases .alias }}{{ fail (printf "datasets: %s and %s have the same alias %s." .name (get $aliases .alias) .alias) }}{{ end }}
{{- $_ := set $datasets .name true }}{{- $_ := set $aliases .alias .name }}
{{- end }}
{{- range .Values.competition.spec.phases }}
{{- $phase := .name }}
{{- range .datasets }}
{{- if and $.Values.datasets (not (hasKey $datasets .)) }}
{{- fail (printf "competition.spec.phases: phase %s names the dataset %s, which is not in datasets." $phase .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Port of the store, for NetworkPolicies: that in the cluster, or the external endpoint's. */}}
{{- define "alcove.storePort" -}}
{{- if ne .Values.store.kind "external" -}}
9000
{{- else -}}
{{- $url := urlParse .Values.store.external.endpoint -}}
{{- $parts := splitList ":" $url.host -}}
{{- if gt (len $parts) 1 }}{{ last $parts }}{{ else }}{{ ternary 443 80 (eq $url.scheme "https") }}{{ end }}
{{- end }}
{{- end }}

{{/* Annotations of the hook that upgrades CRDs; its rights are gone when it is done. Takes the weight. */}}
{{- define "alcove.crdsHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Annotations of hooks after install and upgrade; their rights are gone when they are done. Takes the weight. */}}
{{- define "alcove.afterHook" -}}
helm.sh/hook: post-install,post-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Annotations of the pods of `helm test`; they stay until the next test, for their logs. Takes the weight. */}}
{{- define "alcove.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation
{{- end }}

{{/*
A file as the value of a ConfigMap's key, in lines of its own. Helm and kubectl read YAML by 4,096 bytes, and lose the last line of
an object, without a word, where its length is a multiple of that and no line follows; so no long line may be the last.
*/}}
{{- define "alcove.text" }} |{{ . | trimSuffix "\n" | nindent 4 }}
{{- end }}
