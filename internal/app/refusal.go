package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"canvasback/internal/failure"
)

// refusal makes the failure of a known kind of what kept a connection from
// coming about.
func refusal(ctx context.Context, opts client.Options, err error) error {
	var missing *serviceerror.NamespaceNotFound
	if errors.As(err, &missing) {
		return failure.Errorf(failure.NoNamespace, "Temporal at %s has no namespace %q: %w", opts.HostPort, opts.Namespace, err)
	}
	if denied(err) {
		return failure.Errorf(failure.TemporalDenied, "Temporal at %s refuses %s in the namespace %q: %w", opts.HostPort, identity(opts), opts.Namespace, err)
	}
	if why := mistrust(ctx, opts); why != nil {
		return failure.Errorf(failure.TemporalTLS, "no connection to Temporal at %s: %w", opts.HostPort, why)
	}
	return failure.Errorf(failure.TemporalUnreachable, "Temporal does not answer at %s: %w", opts.HostPort, err)
}

// denied tells that the server knows who asks, or that it does not, and does
// not let it.
func denied(err error) bool {
	var permission *serviceerror.PermissionDenied
	if errors.As(err, &permission) {
		return true
	}
	code := status.Code(err)
	return code == codes.PermissionDenied || code == codes.Unauthenticated
}

// identity is what the server goes by.
func identity(opts client.Options) string {
	switch conf := opts.ConnectionOptions.TLS; {
	case opts.Credentials != nil:
		return "this API key (TEMPORAL_API_KEY or api_key of the profile)"
	case certified(conf):
		return "this client certificate, and there is no API key (TEMPORAL_API_KEY or api_key of the profile)"
	}
	return "a client without an API key (TEMPORAL_API_KEY or api_key of the profile)"
}

func certified(conf *tls.Config) bool {
	return conf != nil && (conf.GetClientCertificate != nil || len(conf.Certificates) > 0)
}

// probeWait bounds each of the steps by which mistrust finds out.
const probeWait = 3 * time.Second

// mistrust connects once more, to tell by the handshake whether the two sides
// do not agree about TLS: the error of a call does not always carry that. It
// returns nil where they agree or nothing can be said, as with a proxy between.
func mistrust(ctx context.Context, opts client.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 2*probeWait)
	defer cancel()
	host, _, err := net.SplitHostPort(opts.HostPort)
	if err != nil {
		return nil
	}
	conf := opts.ConnectionOptions.TLS
	if conf == nil {
		return encrypted(ctx, opts.HostPort)
	}
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	conn, err := (&net.Dialer{Timeout: probeWait}).DialContext(ctx, "tcp", opts.HostPort)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probeWait)); err != nil {
		return nil
	}
	c := tls.Client(conn, conf)
	if err = c.HandshakeContext(ctx); err == nil {
		// What the server makes of the client's certificate it says after the
		// handshake, in place of its first frame.
		_, err = c.Read(make([]byte, 1))
	}
	return explained(conf, err)
}

// encrypted tells that a server wants TLS: it answers as one that speaks it.
func encrypted(ctx context.Context, hostPort string) error {
	// Nothing is trusted to this connection, which ends with the handshake.
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: probeWait}, Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	c, err := d.DialContext(ctx, "tcp", hostPort)
	if err == nil {
		c.Close()
	}
	if err == nil || alert(err) {
		return errors.New("it speaks TLS and this client does not: set TEMPORAL_TLS=true, or what else TLS needs (TEMPORAL_TLS_...)")
	}
	return nil
}

// explained says of an error of a handshake what is wrong and what to do.
func explained(conf *tls.Config, err error) error {
	var (
		plain   tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &plain):
		return fmt.Errorf("it does not speak TLS, and this client does: unset TEMPORAL_TLS and TEMPORAL_TLS_..., or set TEMPORAL_TLS=false: %w", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("its certificate is not signed by an authority that is trusted here: name the authority's file with TEMPORAL_TLS_SERVER_CA_CERT_PATH: %w", err)
	case errors.As(err, &name):
		return fmt.Errorf("its certificate is for another name: use that in the address, or set TEMPORAL_TLS_SERVER_NAME: %w", err)
	case errors.As(err, &invalid):
		return fmt.Errorf("its certificate is not valid: renew it, or set this machine's clock: %w", err)
	case alert(err):
		return unwelcome(conf, err)
	}
	return nil
}

// alert tells that the other side ended the handshake with a word of TLS.
func alert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// unwelcome is for a server that says no to what the client has shown.
func unwelcome(conf *tls.Config, err error) error {
	if !certified(conf) {
		return fmt.Errorf("it asks for a client certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH: %w", err)
	}
	if leaf := own(conf); leaf != nil && time.Now().After(leaf.NotAfter) {
		return fmt.Errorf("the client certificate of %s expired at %s: renew the files of TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH: %w",
			leaf.Subject, leaf.NotAfter.UTC().Format(time.RFC3339), err)
	}
	return fmt.Errorf("it refuses the client certificate: take one that an authority of the server has signed (TEMPORAL_TLS_CLIENT_CERT_PATH): %w", err)
}

// own is the client's certificate.
func own(conf *tls.Config) *x509.Certificate {
	pairs := conf.Certificates
	if conf.GetClientCertificate != nil {
		if pair, err := conf.GetClientCertificate(&tls.CertificateRequestInfo{}); err == nil {
			pairs = []tls.Certificate{*pair}
		}
	}
	if len(pairs) == 0 || len(pairs[0].Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(pairs[0].Certificate[0])
	if err != nil {
		return nil
	}
	return leaf
}
