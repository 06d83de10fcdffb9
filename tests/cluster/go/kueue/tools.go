//go:build tools

// Package tools pins what `python -m tests.cluster binaries` builds.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
