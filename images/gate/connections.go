package main

import (
	"container/list"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

type connectionOf struct{}

// waitingList is of connections on which nobody has shown yet what for: new ones, idle ones, those whose form or other body
// is not read, and those whose answer nobody takes. One more than it holds closes the oldest, which an honest one never is
// for long.
type waitingList struct {
	mu     sync.Mutex
	most   int
	oldest *list.List
	places map[net.Conn]*list.Element
}

func newWaitingList(most int) *waitingList {
	return &waitingList{most: most, oldest: list.New(), places: map[net.Conn]*list.Element{}}
}

// follow is called by the server whenever a connection's state changes.
func (l *waitingList) follow(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew, http.StateIdle:
		l.add(conn)
	case http.StateActive:
		l.renew(conn)
	case http.StateClosed, http.StateHijacked:
		l.remove(conn)
	}
}

// add says whether the connection was not there already.
func (l *waitingList) add(conn net.Conn) bool {
	conn = withoutTLS(conn)
	l.mu.Lock()
	_, there := l.places[conn]
	if !there {
		l.places[conn] = l.oldest.PushBack(conn)
	}
	var dropped net.Conn
	if l.oldest.Len() > l.most {
		dropped = l.oldest.Front().Value.(net.Conn)
		l.drop(dropped)
	}
	l.mu.Unlock()
	if dropped != nil {
		dropped.Close()
	}
	return !there
}

// withoutTLS is the connection by which it is known, and closed: TLS would say goodbye and wait for whoever does not read.
func withoutTLS(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

// renew is for a request that begins on a connection that was idle: it has not waited yet.
func (l *waitingList) renew(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if place, there := l.places[withoutTLS(conn)]; there {
		l.oldest.MoveToBack(place)
	}
}

func (l *waitingList) remove(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(withoutTLS(conn))
}

func (l *waitingList) drop(conn net.Conn) {
	if place, there := l.places[conn]; there {
		l.oldest.Remove(place)
		delete(l.places, conn)
	}
}

// slowAfter is how long a piece of an answer may take before its connection waits.
const slowAfter = time.Second

// listener is for clients that may not read what they are answered.
type listener struct {
	net.Listener
	waiting *waitingList
	step    time.Duration
}

func (l listener) Accept() (net.Conn, error) {
	found, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{found, l.waiting, l.step}, nil
}

// connection ends when a piece of an answer, of copyBytes at most, is not taken within a step.
type connection struct {
	net.Conn
	waiting *waitingList
	step    time.Duration
}

func (c *connection) Write(piece []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(c.step))
	added := make(chan bool, 1)
	slow := time.AfterFunc(slowAfter, func() { added <- c.waiting.add(c) })
	n, err := c.Conn.Write(piece)
	if !slow.Stop() && <-added {
		c.waiting.remove(c)
	}
	return n, err
}

// CloseWrite is what the server ends an answer with where it has not read the whole request.
func (c *connection) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// readUnchecked is more than a store and the sockets to it take of a body before who sends it is known.
const readUnchecked = 1 << 20

// watchedBody says once that it was taken: all of it, or more than a store takes from anybody.
type watchedBody struct {
	io.ReadCloser
	left  int64
	taken func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.taken != nil && (err == io.EOF || b.left <= 0) {
		b.taken()
		b.taken = nil
	}
	return n, err
}

// buffers are those that the proxy copies by.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if found, ok := b.pool.Get().(*[]byte); ok {
		return *found
	}
	return make([]byte, copyBytes)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
