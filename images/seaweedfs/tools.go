//go:build tools

// Package tools pins what the Dockerfile here and `python -m tests.cluster binaries` build.
package tools

import _ "github.com/seaweedfs/seaweedfs/weed"
