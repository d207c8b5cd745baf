package livetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestQuantile(t *testing.T) {
	assert.Equal(t, 0, quantile([]int(nil), 0.5))
	assert.Equal(t, 7, quantile([]int{7}, 0.99))
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	assert.Equal(t, 50, quantile(hundred, 0.5))
	assert.Equal(t, 99, quantile(hundred, 0.99))
	assert.Equal(t, 100, slices.Max(hundred), "the values stay as they are")
	assert.Equal(t, 100, hundred[0], "and in their order")
}

// TestBookTellsLostFromBad shows what counts as bad, and what does not.
func TestBookTellsLostFromBad(t *testing.T) {
	book := &Book{}
	first, second := Kind{Name: "one"}, Kind{Name: "other"}
	for i, kind := range []string{"", Lost, BadOpen, BadCrash, BadRead, BadData, BadLate, ""} {
		of := []Kind{first, second}[i%2]
		book.Write(of, Ours, func(c *Tally) {
			c.Add(Taken{Rule: "A", Attempts: i, Took: time.Second})
			c.Judge(Verdict{Kind: kind})
		})
	}
	book.Write(first, Baselines[0], func(c *Tally) { c.Engine++; c.GaveUp++ })
	book.Fault(second, "died under %s", "load")
	copies, bad, lost := book.Total(Ours)
	assert.Equal(t, []int{8, 5, 1}, []int{copies, bad, lost})
	copies, bad, lost = book.Total(Baselines[0])
	assert.Equal(t, []int{0, 0, 0}, []int{copies, bad, lost})
	assert.Equal(t, `owner  method             copies  bad  lost  gave up  engine  attempts p50/p99  seconds p50  rules  bad ones show as
one    canvasback         4       3    0     0        0       2/6               1.00         A 4    late 1, open 1, read 1
one    checkpoint, cp db  0       0    0     1        1       0/0               0.00         none   none
other  canvasback         4       2    1     0        0       3/7               1.00         A 4    crash 1, data 1
`+legend+`faults of the engines themselves: 1
  other: died under load
`, book.String())
}
