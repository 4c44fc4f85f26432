package mem

import "math/bits"

// Dividing a parent's memory among its children.
//
// What a child with S shares, A active pages and P pages pays for a page is its price S/(P·(f + k·(1−f))), with the
// active fraction f = A/P and an idle page counting as k active ones: shares buy fewer idle pages than active ones (the
// idle-memory tax). Memory is divided so that all pay one price 1/λ, but for those whom their least or most holds. With
// it a child's pages are
//
//	P(λ) = λS              where λS ≤ A: all that it would have is active
//	P(λ) = A + (λS − A)/k  beyond
//
// which rises with λ, so that the λ at which all of it is given out is found by bisection: 64 steps of n children each.
//
// The bound: λ is a fixed-point number of pages per share, and what rounding leaves over, less than a page for each child
// and S·2⁻²⁸ pages for its shares, goes to children in turn. With at most 2²⁴ shares each is within n + 1 pages of the
// exact division, and the sum is exact.

// idleCost is k: a tax rate of 75 % (1/(1−0.75)).
const idleCost = 4

const fraction = 28 // bits of λ below the point

// A claim is a child's part in a division. Amounts are in pages.
type claim struct {
	shares      uint64 // 1 to MaxShares
	active      uint64
	least, most uint64 // least ≤ most
	gets        uint64
}

// at returns P(λ), held between least and most.
func (c *claim) at(lambda uint64) uint64 {
	hi, lo := bits.Mul64(lambda, c.shares)
	pages := hi<<(64-fraction) | lo>>fraction
	if hi>>fraction != 0 || pages > MaxPages {
		pages = MaxPages
	}
	if pages > c.active {
		pages = c.active + (pages-c.active)/idleCost
	}
	return min(max(pages, c.least), c.most)
}

// divide gives pages to claims. Where their least are more than there is, each gets its least: that is for the caller to
// keep from happening. It allocates nothing.
func divide(claims []claim, pages uint64) {
	given := func(lambda uint64) (sum uint64) {
		for i := range claims {
			sum += claims[i].at(lambda) // below 2⁶⁴ for less than 2²⁴ claims
		}
		return sum
	}
	// The greatest λ that doesn't give out too much.
	lambda := uint64(0)
	for bit := uint64(1) << 63; bit != 0; bit >>= 1 {
		if given(lambda|bit) <= pages {
			lambda |= bit
		}
	}
	sum := uint64(0)
	for i := range claims {
		claims[i].gets = claims[i].at(lambda)
		sum += claims[i].gets
	}
	// What is left is less than what one more step of λ would give; each gets at most that step's pages.
	for i := 0; i < len(claims) && sum < pages && lambda != ^uint64(0); i++ {
		more := min(claims[i].at(lambda+1)-claims[i].gets, pages-sum)
		claims[i].gets += more
		sum += more
	}
}
