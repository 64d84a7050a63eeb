package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

func newHelmCommand() *cobra.Command {
	// Objects are owned, in server-side apply, by the name "helm", as with the released binary.
	kube.ManagedFieldsManager = "helm"
	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return command
}

func runHelm(command *cobra.Command) int {
	err := command.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	var failure helm.CommandError
	if errors.As(err, &failure) {
		return failure.ExitCode
	}
	return 1
}
