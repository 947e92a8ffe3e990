package cli

import (
	"context"
	"os"

	"github.com/sheratan/sheratan/hosts/agent"
)

// workerCommand is the first argument of the process that executes file kinds. It is not in the help: it speaks a
// protocol of its own on its streams, and nobody else calls it.
const workerCommand = "__worker"

// workerArgv is the command line that starts this program as a worker.
func workerArgv() []string {
	self, err := os.Executable()
	if err != nil {
		self = "/proc/self/exe"
	}
	return []string{self, workerCommand}
}

func runWorker(_ context.Context, env Env) int {
	if err := agent.WorkerMain(env.Stdin, env.Stdout); err != nil {
		(&people{a: &app{env: env, out: newOutput(&app{env: env})}, said: map[string]bool{}}).report(err, exitError)
		return exitError
	}
	return exitDone
}
