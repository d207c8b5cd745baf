// Package tlstest makes the certificates of tests: an authority, and what it
// signs, as PEM files.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates.
type Authority struct {
	// File is its own certificate, which those who trust it are given.
	File string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

// Pair is a certificate and its key.
type Pair struct{ CertFile, KeyFile string }

// Leaf is what a certificate says.
type Leaf struct {
	Name string // of the files, and the subject
	// Hosts are the DNS names and IP addresses that a server has. A certificate
	// without them is a client's.
	Hosts []string
	// Expired makes one that has ended a day ago.
	Expired bool
}

// NewAuthority makes an authority whose files are in dir.
func NewAuthority(dir, name string) (*Authority, error) {
	a := &Authority{dir: dir, File: filepath.Join(dir, name+".pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("tlstest: %w", err)
	}
	a.cert = &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("tlstest: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("tlstest: %w", err)
	}
	return a, write(a.File, "CERTIFICATE", der)
}

// Sign makes a certificate with a new key. Files of the same name are replaced
// one after the other, the key first.
func (a *Authority) Sign(l Leaf) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("tlstest: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: l.Name}, NotBefore: time.Now().Add(-47 * time.Hour), NotAfter: time.Now().Add(47 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if l.Expired {
		cert.NotAfter = time.Now().Add(-24 * time.Hour)
	}
	if len(l.Hosts) > 0 {
		cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range l.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("tlstest: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("tlstest: %w", err)
	}
	p := Pair{CertFile: filepath.Join(a.dir, l.Name+".crt"), KeyFile: filepath.Join(a.dir, l.Name+".key")}
	if err := write(p.KeyFile, "PRIVATE KEY", private); err != nil {
		return Pair{}, err
	}
	return p, write(p.CertFile, "CERTIFICATE", der)
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return n
}

// write replaces the file whole, as what renews certificates does.
func write(path, kind string, der []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("tlstest: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("tlstest: %w", err)
	}
	return nil
}
