// Lab-kube is every Kubernetes program of the lab in one binary, built from the published Go
// modules: nothing is downloaded but packages, and all parts are the same release.
//
// The part to run is the first argument (`lab-kube kubelet --config …`), or the name the binary
// is called by (a symbolic link `kubectl` to it is kubectl). Two parts never share a process:
// several of them register the process's signal handler, which panics the second time.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	// Log format and the metrics that the upstream main packages register.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// parts maps a part's name to what makes its command line.
var parts = map[string]func() *cobra.Command{
	"etcd":                    newEtcdCommand,
	"helm":                    newHelmCommand,
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
	"kubelet":                 newKubeletCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, known := parts[name]; !known && len(os.Args) > 1 {
		// Drop the part's name, so that the part sees the command line it would have alone.
		name = os.Args[1]
		os.Args = append([]string{name}, os.Args[2:]...)
	}
	newCommand, known := parts[name]
	if !known {
		fmt.Fprintf(os.Stderr, "usage: lab-kube PART [ARGUMENT...]\nparts: %s\n", partNames())
		os.Exit(2)
	}
	os.Exit(run(name, newCommand()))
}

// run executes a part. Kubectl and helm print their own errors.
func run(name string, command *cobra.Command) int {
	switch name {
	case "kubectl":
		if err := cli.RunNoErrOutput(command); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case "helm":
		return runHelm(command)
	default:
		return cli.Run(command)
	}
}

func partNames() string {
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
