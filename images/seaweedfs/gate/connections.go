package main

import (
	"container/list"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
)

type connectionOf struct{}

// waitingList is of connections on which nobody has shown yet what for: new ones, idle ones, and those whose form or other
// body is not read. One more than it holds closes the oldest, which an honest one never is for long.
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

func (l *waitingList) add(conn net.Conn) {
	l.mu.Lock()
	if _, there := l.places[conn]; !there {
		l.places[conn] = l.oldest.PushBack(conn)
	}
	var dropped net.Conn
	if l.oldest.Len() > l.most {
		dropped = l.oldest.Front().Value.(net.Conn)
		l.drop(dropped)
	}
	l.mu.Unlock()
	// Not by TLS, which would say goodbye and wait for whoever does not read.
	if secured, ok := dropped.(*tls.Conn); ok {
		dropped = secured.NetConn()
	}
	if dropped != nil {
		dropped.Close()
	}
}

// renew is for a request that begins on a connection that was idle: it has not waited yet.
func (l *waitingList) renew(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if place, there := l.places[conn]; there {
		l.oldest.MoveToBack(place)
	}
}

func (l *waitingList) remove(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(conn)
}

func (l *waitingList) drop(conn net.Conn) {
	if place, there := l.places[conn]; there {
		l.oldest.Remove(place)
		delete(l.places, conn)
	}
}

// readUnchecked is more than SeaweedFS and the sockets to it take of a body before who sends it is known.
const readUnchecked = 1 << 20

// watchedBody says once that it was taken: all of it, or more than SeaweedFS takes from anybody.
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
