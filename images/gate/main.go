// Command gate stands before a store's S3 and takes the forms by which teams upload.
//
// SeaweedFS has a form as a whole on its disk before it looks at the permit, and MinIO has as many at a time as come, by one
// permit. The gate looks first, while no byte of the file is read, counts, and hands the file on as a signed PUT, which both
// stream. Everything else goes through as it is.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// Bytes of a request's headers: a session token has 4 KiB.
	headerBytes = 32 << 10
	// Bytes of a request for credentials or users: SeaweedFS reads it before it checks who asks.
	requestBytes = 64 << 10
	shutdownTime = 20 * time.Second
)

type gate struct {
	store       http.RoundTripper
	proxy       *httputil.ReverseProxy
	credentials string
	patience    time.Duration
	uses        *ledger
	waiting     *waitingList
}

// refusal is an answer that says no, in the words of S3.
type refusal struct {
	status        int
	code, message string
	after         time.Duration
}

func (r *refusal) Error() string { return r.message }

func main() {
	listen := flag.String("listen", ":9000", "address to listen at")
	store := flag.String("store", "", "where the store's S3 listens: a socket, or host:port")
	credentials := flag.String("credentials", "", "file with access_key and secret_key of the operator, who signs permits")
	certificate := flag.String("certificate", "", "folder with public.crt and private.key; without it HTTP is plain")
	patience := flag.Duration("patience", 10*time.Second, "how long a form's fields may take, and a third of what 256 KiB of its file, or 64 KiB of an answer, may take")
	period := flag.Duration("period", time.Hour, "in which a permit may be used three times")
	waiting := flag.Int("waiting", 1024, "connections that nobody has shown yet what for; one more closes the one that has waited longest")
	flag.Parse()
	if err := serve(newGate(*store, *credentials, *patience, *period, *waiting), *listen, *certificate); err != nil {
		log.Fatalf("The gate ended, so nobody reaches the store: %v", err)
	}
}

func newGate(store, credentials string, patience, period time.Duration, waiting int) *gate {
	dialer, network := &net.Dialer{}, "tcp"
	if strings.HasPrefix(store, "/") {
		network = "unix"
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, store)
		},
		DisableCompression:  true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		// Sooner than the store closes them.
		IdleConnTimeout:       15 * time.Second,
		ExpectContinueTimeout: time.Minute,
		ReadBufferSize:        copyBytes,
		WriteBufferSize:       copyBytes,
	}
	return &gate{
		store:       transport,
		credentials: credentials,
		patience:    patience,
		uses:        newLedger(period),
		waiting:     newWaitingList(waiting),
		proxy: &httputil.ReverseProxy{
			Transport:    transport,
			Rewrite:      passOn,
			BufferPool:   &buffers{},
			ErrorHandler: sayAway,
		},
	}
}

// passOn leaves a request as it is: its signature covers host, path and query.
func passOn(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.RawQuery = "http", "store", r.In.URL.RawQuery
	r.Out.Host = r.In.Host
	for name, values := range r.In.Header {
		if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") {
			r.Out.Header[name] = values
		}
	}
	if r.In.TLS != nil && r.In.Header.Get("X-Forwarded-Proto") == "" {
		r.Out.Header.Set("X-Forwarded-Proto", "https")
	}
}

func serve(g *gate, address, certificate string) error {
	plain, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	clients := listener{plain, g.waiting, stepPatience * g.patience}
	server := &http.Server{
		Handler:           g,
		MaxHeaderBytes:    headerBytes,
		ReadHeaderTimeout: g.patience,
		IdleTimeout:       2 * time.Minute,
		ConnState:         g.waiting.follow,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionOf{}, conn)
		},
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		// One connection is one request at a time.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		<-stop.Done()
		within, done := context.WithTimeout(context.Background(), shutdownTime)
		defer done()
		ended <- server.Shutdown(within)
	}()
	if certificate == "" {
		err = server.Serve(clients)
	} else {
		server.TLSConfig.GetCertificate = (&certificates{folder: certificate}).find
		err = server.ServeTLS(clients, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return <-ended
	}
	return err
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case isHidden(r.URL.Path):
		refuse(w, &refusal{400, "InvalidArgument", "No part of a key can be .uploads or end with .versions here. Nothing was done. Choose another key.", 0})
		return
	case r.Method == http.MethodPost && isForm(r):
		if err := g.takeForm(w, r); err != nil {
			refuse(w, err)
		}
		return
	case isReadUnchecked(r):
		if err := readWhole(w, r, g.patience); err != nil {
			refuse(w, err)
			return
		}
	}
	conn := r.Context().Value(connectionOf{}).(net.Conn)
	if r.ContentLength == 0 {
		g.waiting.remove(conn)
	} else {
		r.Body = &watchedBody{ReadCloser: r.Body, left: readUnchecked, taken: func() { g.waiting.remove(conn) }}
	}
	g.proxy.ServeHTTP(w, r)
}

// isHidden says whether a path leads into the folders in which SeaweedFS keeps parts and versions, beside the objects. What a
// client puts there is in no list, so nobody sees what room it takes, and retention never deletes it. SeaweedFS takes \ for /.
func isHidden(path string) bool {
	for _, part := range strings.FieldsFunc(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if part == ".uploads" || strings.HasSuffix(part, ".versions") {
			return true
		}
	}
	return false
}

// isForm says whether SeaweedFS might take it for one: it looks for the words anywhere in the type.
func isForm(r *http.Request) bool {
	return strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Content-Type"), " ")), "multipart")
}

// isReadUnchecked says whether SeaweedFS reads its body before it has checked a signature: requests to STS and IAM, by their
// path or by the service in the signature.
func isReadUnchecked(r *http.Request) bool {
	return r.ContentLength != 0 && (isForAnotherService(r) || r.Method == http.MethodPost && strings.Trim(r.URL.Path, "/") == "")
}

// isForAnotherService reads credentials as SeaweedFS does: spaces go, and of five parts it believes the fourth, whatever the
// fifth says. Where there are several, each counts.
func isForAnotherService(r *http.Request) bool {
	credentials := r.URL.Query()["X-Amz-Credential"]
	signed := strings.ReplaceAll(strings.Join(r.Header.Values("Authorization"), ","), " ", "")
	for _, field := range strings.Split(signed, ",") {
		if _, credential, there := strings.Cut(field, "Credential="); there {
			credentials = append(credentials, credential)
		}
	}
	for _, credential := range credentials {
		if parts := strings.Split(credential, "/"); len(parts) == 5 && parts[3] != "s3" {
			return true
		}
	}
	return false
}

func readWhole(w http.ResponseWriter, r *http.Request, patience time.Duration) error {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(patience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestBytes))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return &refusal{413, "EntityTooLarge", "A request for credentials or users has 64 KiB at most. Nothing was done.", 0}
	case err != nil:
		return explainBroken(err)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return control.SetReadDeadline(time.Time{})
}

func explainBroken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &refusal{408, "RequestTimeout", "The request came too slowly. Nothing was stored. Send it again over a faster connection.", 0}
	}
	return &refusal{400, "IncompleteBody", "The request broke off. Nothing was stored. Send it again.", 0}
}

func sayAway(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		log.Printf("%s %s was not answered by the store: %v", r.Method, r.URL.Path, err)
	}
	refuse(w, &refusal{503, "ServiceUnavailable", "The store behind the gate does not answer. Nothing is known of this request. Try again.", time.Second})
}

// refuse answers with a refusal, and closes the connection: what else is on it was not read.
func refuse(w http.ResponseWriter, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		no = &refusal{500, "InternalError", "The gate before the store failed. Nothing was stored. Try again.", 0}
		log.Printf("A form was not taken: %v", err)
	}
	body, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: no.code, Message: no.message})
	header := w.Header()
	header.Set("Content-Type", "application/xml")
	header.Set("Connection", "close")
	if no.after > 0 {
		header.Set("Retry-After", strconv.Itoa(int(no.after.Seconds())+1))
	}
	w.WriteHeader(no.status)
	fmt.Fprintf(w, "%s%s", xml.Header, body)
}

type keyPair struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// readKey reads anew for each form: the operator's key can be replaced while the gate runs.
func (g *gate) readKey() (keyPair, error) {
	var key keyPair
	data, err := os.ReadFile(g.credentials)
	if err == nil {
		err = json.Unmarshal(data, &key)
	}
	if err != nil || key.AccessKey == "" || key.SecretKey == "" {
		log.Printf("No form can be taken, since the operator's key cannot be read from %s: %v", g.credentials, err)
		return key, &refusal{503, "ServiceUnavailable", "The store does not know yet who signs permits. Nothing was stored. Try again in a minute.", time.Minute}
	}
	return key, nil
}

// rereadAfter is how long a certificate is shown until its files are looked at again. MinIO does so as often.
const rereadAfter = 10 * time.Second

// certificates are read again now and then: whoever issues them replaces them.
type certificates struct {
	folder string
	mu     sync.Mutex
	known  *tls.Certificate
	read   time.Time
}

func (c *certificates) find(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil && time.Since(c.read) < rereadAfter {
		return c.known, nil
	}
	found, err := tls.LoadX509KeyPair(c.folder+"/public.crt", c.folder+"/private.key")
	if err != nil && c.known == nil {
		return nil, err
	}
	if err == nil {
		c.known = &found
	}
	c.read = time.Now()
	return c.known, nil
}
