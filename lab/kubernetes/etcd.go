package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdOptions are the flags of a store of one member.
type etcdOptions struct {
	dataDir   string
	clientURL string
	peerURL   string
	// tls is both what the store serves with and the authority that its clients' certificates
	// have to come from.
	tls transport.TLSInfo
}

// newEtcdCommand is the embedded server, used because it is the release that this Kubernetes was
// tested with; older ones fail its streaming lists.
func newEtcdCommand() *cobra.Command {
	options := etcdOptions{tls: transport.TLSInfo{ClientCertAuth: true}}
	command := &cobra.Command{
		Use:          "etcd",
		Short:        "Run a single-member etcd",
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			return serveEtcd(options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.dataDir, "data-dir", "", "folder of the store")
	flags.StringVar(&options.clientURL, "client-url", "https://127.0.0.1:2379", "where clients are served")
	flags.StringVar(&options.peerURL, "peer-url", "https://127.0.0.1:2380", "where peers would be served")
	flags.StringVar(&options.tls.CertFile, "cert-file", "", "certificate to serve with")
	flags.StringVar(&options.tls.KeyFile, "key-file", "", "its private key")
	flags.StringVar(&options.tls.TrustedCAFile, "trusted-ca-file", "", "authority of the clients")
	return command
}

func serveEtcd(options etcdOptions) error {
	config, err := options.config()
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	select {
	case <-stop.Done():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd stopped: %w", err)
	}
}

func (options etcdOptions) config() (*embed.Config, error) {
	client, err := url.Parse(options.clientURL)
	if err != nil {
		return nil, fmt.Errorf("--client-url: %w", err)
	}
	peer, err := url.Parse(options.peerURL)
	if err != nil {
		return nil, fmt.Errorf("--peer-url: %w", err)
	}
	config := embed.NewConfig()
	config.Dir = options.dataDir
	config.ListenClientUrls = []url.URL{*client}
	config.AdvertiseClientUrls = []url.URL{*client}
	config.ListenPeerUrls = []url.URL{*peer}
	config.AdvertisePeerUrls = []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.ClientTLSInfo = options.tls
	config.PeerTLSInfo = options.tls
	config.LogLevel = "warn"
	// A lab's cluster is made anew with every run: a crash of the machine may lose it.
	config.UnsafeNoFsync = true
	return config, nil
}
