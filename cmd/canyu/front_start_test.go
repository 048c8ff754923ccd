package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// certificates makes a folder with a certificate for 127.0.0.1, as the fronts want it.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "canyu"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, text := range map[string][]byte{"fullchain.pem": chain, "privkey.pem": secret, "site.pem": append(append([]byte(nil), chain...), secret...)} {
		check(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

// edited is a file of deploy/ with some of it replaced, in a folder of the test's own.
// What is to be replaced has to be there.
func edited(t *testing.T, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", name))
	check(t, err)
	s := string(text)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(s, replace[i]) {
			t.Fatalf("%s has no %q", name, replace[i])
		}
		s = strings.ReplaceAll(s, replace[i], replace[i+1])
	}
	path := filepath.Join(t.TempDir(), filepath.Base(name))
	check(t, os.WriteFile(path, []byte(s), 0o644))
	return path
}

func newNginx(t *testing.T, certificates string, servers ...string) *front {
	t.Helper()
	plain, secure, dir := freeAddress(t), freeAddress(t), t.TempDir()
	var upstream, temp strings.Builder
	for _, address := range servers {
		fmt.Fprintf(&upstream, "server %s max_fails=3 fail_timeout=5s;", address)
	}
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;", name, dir, name)
	}
	config := edited(t, "nginx.conf",
		"pid /run/nginx.pid;", "pid "+dir+"/pid;", "worker_processes auto;", "worker_processes 1;", "worker_rlimit_nofile 65536;", "",
		"worker_connections 32768;", "worker_connections 4096;", "server_tokens off;", "server_tokens off;"+temp.String(),
		"listen [::]:80; # on a machine without IPv6, leave out the lines with [::]", "", "listen [::]:443 ssl http2;", "", "listen 80;", "listen "+plain+";", "listen 443 ssl http2;", "listen "+secure+" ssl http2;",
		"server canyu:8080 max_fails=3 fail_timeout=5s;", upstream.String(), "/etc/canyu/tls/", certificates+"/")
	return newFront(t, "nginx-light", certificates, plain, secure, []string{"nginx", "-t", "-q", "-e", "stderr", "-c", config}, []string{"nginx", "-e", "stderr", "-c", config, "-g", "daemon off;"})
}

func newHAProxy(t *testing.T, certificates string, servers ...string) *front {
	t.Helper()
	plain, secure := freeAddress(t), freeAddress(t)
	var upstream strings.Builder
	for i, address := range servers {
		fmt.Fprintf(&upstream, "\n    server canyu%d %s", i+1, address)
	}
	config := edited(t, "haproxy.cfg",
		"    user haproxy\n    group haproxy\n", "", "maxconn 60000", "maxconn 4000", "maxconn 20000", "maxconn 2000",
		"bind :80", "bind "+plain, "bind :443", "bind "+secure, "\n    server canyu1 canyu:8080", upstream.String(), "/etc/canyu/tls/", certificates+"/")
	return newFront(t, "haproxy", certificates, plain, secure, []string{"haproxy", "-c", "-f", config}, []string{"haproxy", "-db", "-q", "-f", config})
}

func newFront(t *testing.T, install, certificates, plain, secure string, try, start []string) *front {
	t.Helper()
	if out, err := sbin(try).CombinedOutput(); err != nil || len(out) > 0 && string(out) != "Configuration file is valid\n" {
		t.Fatalf("needs %s to take its configuration without a warning (apt-get install %s, or run make deps): %s: %v\n%s", try[0], install, try, err, out)
	}
	pool := x509.NewCertPool()
	f := &front{t: t, plain: "http://" + plain, tls: "https://" + secure, log: new(syncBuffer)}
	background(t, f.log, start)
	chain, err := os.ReadFile(filepath.Join(certificates, "fullchain.pem"))
	check(t, err)
	pool.AppendCertsFromPEM(chain)
	f.client = &http.Client{Timeout: 30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// sbin finds commands also where Debian keeps those of administrators.
func sbin(args []string) *exec.Cmd {
	name := args[0]
	if _, err := exec.LookPath(name); err != nil {
		if _, err := os.Stat("/usr/sbin/" + name); err == nil {
			name = "/usr/sbin/" + name
		}
	}
	return exec.Command(name, args[1:]...)
}

// background runs a server until the test ends.
func background(t *testing.T, log io.Writer, args []string) {
	t.Helper()
	cmd := sbin(args)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with its workers
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}
