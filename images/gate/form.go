package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

const (
	// Bytes before the file: a permit's fields have about 1 KiB.
	headBytes = 8 << 10
	// Bytes of a form: S3 takes 5 GiB in one.
	formBytes = 5<<30 + 2*headBytes
	// Bytes of the file that come within stepPatience times the gate's patience. As long has a piece of an answer.
	stepBytes    = 256 << 10
	stepPatience = 3
	copyBytes    = 64 << 10
)

var errLongHead = &refusal{400, "MalformedPOSTRequest", "The fields before the file have more than 8 KiB. Nothing was stored. Send the fields of the permit, and `file` last.", 0}

func malformed(cause string) error {
	return &refusal{400, "MalformedPOSTRequest", cause + " Nothing was stored. Send the fields of the permit, and `file` last.", 0}
}

// formBody is what a form consists of. Until the file begins it hands on byte by byte, so that nobody reads ahead and the
// count is where the file begins; and from then on it asks for so many bytes within so much time.
type formBody struct {
	source  io.Reader
	inFile  bool
	counted atomic.Int64
	next    int64
	step    time.Duration
	// Says until when more has to come. The whole form has to be here at the end.
	until func(time.Time)
	end   time.Time
}

func (b *formBody) Read(p []byte) (int, error) {
	count := b.counted.Load()
	switch {
	case !b.inFile && count >= headBytes:
		return 0, errLongHead
	case !b.inFile:
		p = p[:min(1, len(p))]
	case count >= b.next:
		b.next = count + stepBytes
		b.until(earlier(time.Now().Add(b.step), b.end))
	}
	n, err := b.source.Read(p)
	b.counted.Add(int64(n))
	return n, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// takeForm answers a form, or says why it takes none of it.
func (g *gate) takeForm(w http.ResponseWriter, r *http.Request) error {
	switch {
	case r.ContentLength < 0:
		return &refusal{411, "MissingContentLength", "The form does not say how long it is. Nothing was read. Send a Content-Length.", 0}
	case r.ContentLength > formBytes:
		return &refusal{413, "EntityTooLarge", "A form has 5 GiB at most. Nothing was read. Send less.", 0}
	case r.URL.RawQuery != "":
		return malformed("A form has no parameters in its address.")
	}
	key, err := g.readKey()
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	body := &formBody{
		source: bufio.NewReaderSize(r.Body, copyBytes),
		step:   stepPatience * g.patience,
		until:  func(end time.Time) { control.SetReadDeadline(end) },
		end:    time.Now().Add(g.patience),
	}
	body.until(body.end)
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || len(r.Header.Values("Content-Type")) != 1 {
		return malformed("The type of the form is not multipart/form-data.")
	}
	reader := multipart.NewReader(body, parameters["boundary"])
	fields, part, err := readFields(reader)
	if err != nil {
		return err
	}
	permit, err := checkPermit(fields, strings.Trim(r.URL.Path, "/"), key, time.Now())
	if err != nil {
		return err
	}
	size := r.ContentLength - body.counted.Load() - int64(len("\r\n--"+parameters["boundary"]+"--\r\n"))
	switch {
	case size < permit.least:
		return &refusal{400, "EntityTooSmall", fmt.Sprintf("The file has %d bytes, and the permit asks for %d. Nothing was stored.", size, permit.least), 0}
	case size > permit.most:
		return &refusal{400, "EntityTooLarge", fmt.Sprintf("The file has %d bytes, and the permit is for %d at most. Nothing was stored. Send less.", size, permit.most), 0}
	}
	begun := body.counted.Load()
	end, err := g.uses.begin(permit.key, size, permit.most)
	if err != nil {
		return err
	}
	defer func() { end(body.counted.Load() - begun) }()
	g.waiting.remove(r.Context().Value(connectionOf{}).(net.Conn))
	// A form whose permit ends before it is here takes no one's place any longer.
	body.inFile, body.end = true, permit.expires
	file := &formFile{part: part, rest: reader, left: size, ended: func() { body.until(time.Time{}) }}
	err = g.put(w, putRequest(r.Context(), permit, key, file, size), file)
	if err != nil && !time.Now().Before(permit.expires) {
		return denied("The permit ended before the file was here.")
	}
	return err
}

// readFields reads what comes before the file, and the head of that.
func readFields(reader *multipart.Reader) (map[string]string, *multipart.Part, error) {
	fields := map[string]string{}
	for {
		part, err := reader.NextRawPart()
		if err != nil {
			return nil, nil, explainFields(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			return fields, part, nil
		}
		if _, twice := fields[name]; twice || name == "" {
			return nil, nil, malformed("A field comes twice, or has no name.")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, explainFields(err)
		}
		fields[name] = string(value)
	}
}

func explainFields(err error) error {
	var network net.Error
	switch {
	case errors.Is(err, errLongHead):
		return errLongHead
	case errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF):
		return explainBroken(err)
	}
	return malformed("The form cannot be read, or has no file.")
}

// formFile is the file in a form. Its last byte comes once the form has ended where it said that it would: what breaks off,
// or is of another form, leaves no object.
type formFile struct {
	part  io.Reader
	rest  *multipart.Reader
	left  int64
	ended func()
	err   atomic.Pointer[error]
}

func (f *formFile) Read(p []byte) (int, error) {
	n, err := f.read(p)
	if err != nil && err != io.EOF {
		f.err.Store(&err)
	}
	return n, err
}

func (f *formFile) read(p []byte) (int, error) {
	switch {
	case f.left == 0:
		return 0, io.EOF
	case f.left > 1:
		n, err := f.part.Read(p[:min(int64(len(p)), f.left-1)])
		f.left -= int64(n)
		if err == io.EOF {
			err = malformed("Something comes after the file.")
		}
		return n, err
	}
	last, err := io.ReadAll(io.LimitReader(f.part, 2))
	if err != nil {
		return 0, explainBroken(err)
	}
	if _, err = f.rest.NextRawPart(); err != io.EOF || len(last) != 1 {
		return 0, malformed("The form does not end after the file.")
	}
	f.ended()
	f.left = 0
	return copy(p, last), nil
}

// putRequest is the permit's upload as the store streams it, signed by the one who signed the permit.
func putRequest(ctx context.Context, p permit, key keyPair, file io.Reader, size int64) *http.Request {
	path := "/" + p.bucket + "/" + p.key
	target := &url.URL{Scheme: "http", Host: "store", Path: path, RawPath: s3utils.EncodePath(path)}
	request := http.Request{
		Method: http.MethodPut, URL: target, Host: target.Host, ContentLength: size, Body: io.NopCloser(file),
		Header: http.Header{
			"Content-Type":         {"application/octet-stream"},
			"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
		},
	}
	return signer.SignV4(request, key.AccessKey, key.SecretKey, "", p.region).WithContext(ctx)
}

// put answers with what the store says; where it took the file, as to a form.
func (g *gate) put(w http.ResponseWriter, request *http.Request, file *formFile) error {
	answer, err := g.store.RoundTrip(request)
	if err != nil {
		broken := file.err.Load()
		if broken == nil {
			sayAway(w, request, err)
			return nil
		}
		var no *refusal
		if errors.As(*broken, &no) {
			return no
		}
		return explainBroken(*broken)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		w.Header()["Etag"] = answer.Header["Etag"]
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.Header().Set("Connection", "close")
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, io.LimitReader(answer.Body, copyBytes))
	return nil
}
