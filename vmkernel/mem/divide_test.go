package mem

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// exact is divide in real numbers.
func exact(claims []claim, pages float64) []float64 {
	at := func(c *claim, lambda float64) float64 {
		p := lambda * float64(c.shares)
		if a := float64(c.active); p > a {
			p = a + (p-a)/idleCost
		}
		return min(max(p, float64(c.least)), float64(c.most))
	}
	lo, hi := 0.0, 1e15
	for range 300 {
		mid := (lo + hi) / 2
		sum := 0.0
		for i := range claims {
			sum += at(&claims[i], mid)
		}
		if sum <= pages {
			lo = mid
		} else {
			hi = mid
		}
	}
	var list []float64
	for i := range claims {
		list = append(list, at(&claims[i], lo))
	}
	return list
}

func TestDivisionIsExactWithinItsBound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		claims := make([]claim, 1+r.IntN(40))
		scale := uint64(1) << (4 + r.IntN(28))
		least, most := uint64(0), uint64(0)
		for i := range claims {
			c := &claims[i]
			c.shares = 1 + r.Uint64N(1<<r.IntN(25))
			c.most = r.Uint64N(scale)
			c.least = r.Uint64N(c.most/2 + 1)
			c.active = r.Uint64N(c.most + 1)
			least, most = least+c.least, most+c.most
		}
		pages := least + r.Uint64N(most-least+2)
		divide(claims, pages)
		want := exact(claims, float64(pages))
		sum := uint64(0)
		for i, c := range claims {
			sum += c.gets
			if c.gets < c.least || c.gets > c.most {
				t.Fatalf("round %d: %+v", round, c)
			}
			if d := math.Abs(float64(c.gets) - want[i]); d > float64(len(claims)+1) {
				t.Fatalf("round %d: %+v of %d: exact is %f, off by %f, bound %d", round, c, pages, want[i], d, len(claims)+1)
			}
		}
		if sum != min(pages, most) {
			t.Fatalf("round %d: %d pages given of %d (least %d, most %d)", round, sum, pages, least, most)
		}
	}
}

func TestSharesAndIdlePagesDecide(t *testing.T) {
	const lots = 1 << 40
	for _, c := range []struct {
		name   string
		claims []claim
		want   []uint64
	}{
		{"all active: by shares", []claim{{1, lots, 0, lots, 0}, {2, lots, 0, lots, 0}, {4, lots, 0, lots, 0}}, []uint64{1000, 2000, 4000}},
		{"all idle: by shares too", []claim{{1, 0, 0, lots, 0}, {2, 0, 0, lots, 0}, {4, 0, 0, lots, 0}}, []uint64{1000, 2000, 4000}},
		{"an idle page costs four active ones", []claim{{1, 0, 0, lots, 0}, {1, lots, 0, lots, 0}}, []uint64{1400, 5600}},
		{"what one can't use goes to the others", []claim{{5, lots, 0, 1000, 0}, {1, lots, 0, lots, 0}, {2, lots, 0, lots, 0}}, []uint64{1000, 2000, 4000}},
		{"a reservation comes first", []claim{{1, 0, 5000, lots, 0}, {1, lots, 0, lots, 0}}, []uint64{5000, 2000}},
		{"nobody needs it", []claim{{1, 0, 0, 10, 0}, {1, 0, 0, 20, 0}}, []uint64{10, 20}},
		{"too little even for reservations", []claim{{1, 0, 5000, lots, 0}, {1, 0, 4000, lots, 0}}, []uint64{5000, 4000}},
	} {
		divide(c.claims, 7000)
		for i := range c.claims {
			if d := int64(c.claims[i].gets) - int64(c.want[i]); d < -3 || d > 3 {
				t.Errorf("%s: %d gets %d, want %d", c.name, i, c.claims[i].gets, c.want[i])
			}
		}
	}
	divide(nil, 7)
}

func BenchmarkDivide(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		claims := make([]claim, n)
		for i := range claims {
			claims[i] = claim{shares: uint64(i + 1), active: uint64(i * 1000), most: 1 << 20}
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				divide(claims, uint64(n)<<19)
			}
		})
	}
}
