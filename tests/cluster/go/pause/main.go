// Pause holds a pod's namespaces open: it waits to be told to stop, and nothing else. As process 1 of a sandbox
// it has no default signal handling, hence the explicit one.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
