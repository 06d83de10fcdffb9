package main

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
)

const (
	// How often a permit can be used within a period: each time may take its bytes in the store until SeaweedFS has tidied up.
	usesInPeriod = 3
	// Of one use: what a form counts at least.
	smallestUse = 1.0 / 16
	// Forms at a time, in all and of one team. Each takes a few pieces of 8 MiB of SeaweedFS's memory, and its room in the store.
	openForms, openFormsOfTeam = 32, 4
	// While so many are open, a team has one: a few teams hold up no other's.
	openFormsShared = openForms / 2
	// Keys that were used of late. Permits are fewer: the operator bounds how many it gives.
	keysAtMost = 10_000
)

// ledger knows how often each permit can still be used, by its key, and who is uploading now.
type ledger struct {
	mu     sync.Mutex
	period time.Duration
	left   map[string]remainder
	open   map[string]int
	all    int
}

type remainder struct {
	uses float64
	at   time.Time
}

func newLedger(period time.Duration) *ledger {
	return &ledger{period: period, left: map[string]remainder{}, open: map[string]int{}}
}

func (l *ledger) now(key string) float64 {
	known, there := l.left[key]
	if !there {
		return usesInPeriod
	}
	return math.Min(usesInPeriod, known.uses+usesInPeriod*float64(time.Since(known.at))/float64(l.period))
}

// begin counts a file of that size, by a permit for at most so many bytes, as sent; `end` takes back what was not.
func (l *ledger) begin(key string, size, most int64) (end func(read int64), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, team, _ := strings.Cut(key, "/")
	team, _, _ = strings.Cut(team, "/")
	share := math.Max(smallestUse, float64(size)/float64(most))
	left := l.now(key)
	if left < share {
		wait := time.Duration((share - left) / usesInPeriod * float64(l.period)).Round(time.Second)
		return nil, &refusal{429, "TooManyUploads", fmt.Sprintf("This permit was used too often. Nothing was stored. Try again in %v.", max(wait, time.Second)), wait}
	}
	if _, there := l.left[key]; !there && len(l.left) >= keysAtMost && !l.forget() {
		return nil, busy()
	}
	switch {
	case l.open[team] >= openFormsOfTeam:
		return nil, &refusal{429, "TooManyUploads", fmt.Sprintf("Your team is uploading %d files already. Nothing was stored. Try again when one of them has ended.", openFormsOfTeam), 10 * time.Second}
	case l.open[team] > 0 && l.all >= openFormsShared:
		return nil, &refusal{429, "TooManyUploads", "Your team is uploading already, and so are many others. Nothing was stored. Try again when your file is here.", 10 * time.Second}
	case l.all >= openForms:
		return nil, busy()
	}
	l.left[key] = remainder{left - share, time.Now()}
	l.open[team]++
	l.all++
	return func(read int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		counted := math.Max(smallestUse, float64(min(read, size))/float64(most))
		l.left[key] = remainder{math.Min(usesInPeriod, l.now(key)+share-counted), time.Now()}
		l.all--
		if l.open[team]--; l.open[team] == 0 {
			delete(l.open, team)
		}
	}, nil
}

// forget drops the keys that can be used as often as any; whether there is room now.
func (l *ledger) forget() bool {
	for key := range l.left {
		if l.now(key) >= usesInPeriod {
			delete(l.left, key)
		}
	}
	return len(l.left) < keysAtMost
}

func busy() error {
	return &refusal{503, "SlowDown", "Too many files are being uploaded. Nothing was stored. Try again in a moment.", 10 * time.Second}
}
