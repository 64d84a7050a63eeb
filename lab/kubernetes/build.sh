#!/bin/sh
# Builds lab-kube and pause into the folder that is named, e.g. `lab/kubernetes/build.sh target/lab`.
# The versions are told to the linker as upstream's release builds tell them; without the first, helm's check of
# a chart's kubeVersion fails.
set -eu
out=$(realpath -m "$1")
cd "$(dirname "$0")"
kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
helm=$(go list -m -f '{{.Version}}' helm.sh/helm/v4)
minor=${kubernetes#v1.}
version=k8s.io/component-base/version
mkdir -p "$out"
GOTOOLCHAIN=local CGO_ENABLED=0 exec go build -trimpath -o "$out/" -ldflags "-s -w \
    -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} \
    -X helm.sh/helm/v4/internal/version.version=$helm" . ./pause
