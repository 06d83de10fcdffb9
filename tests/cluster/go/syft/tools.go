//go:build tools

// Package tools pins what `python -m tests.cluster publish` describes images with.
package tools

import _ "github.com/anchore/syft/cmd/syft"
