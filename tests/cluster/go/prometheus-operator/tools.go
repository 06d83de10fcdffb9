//go:build tools

// Package tools pins what `python -m tests.cluster binaries` builds.
package tools

import _ "github.com/prometheus-operator/prometheus-operator/cmd/operator"
