package schemas

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// canonicalNumber returns the RFC 8785 form of a JSON number, and whether it has the same value. RFC 8785 converts each
// number to a double and prints the shortest digits that lead back to it, so the values differ where the literal has
// more digits than a double can tell apart, and where it is too large or too close to zero.
func canonicalNumber(literal string) (string, bool) {
	if exactInteger(literal) {
		return literal, true
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false
	}
	form := string(appendFloat(nil, f))
	return form, sameValue(literal, form)
}

// appendFloat prints a finite number as RFC 8785 says.
func appendFloat(dst []byte, f float64) []byte {
	if f == 0 {
		f = 0 // negative zero is printed without its sign
	}
	return jsontext.AppendFloat(dst, f, 64)
}

// exactInteger reports whether a text is an integer of so few digits that it is its own canonical form.
func exactInteger[T string | []byte](literal T) bool {
	digits := literal
	if len(digits) > 1 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 15 || digits[0] == '0' && len(literal) > 1 {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// sameValue compares two JSON numbers as decimals, without ever expanding an exponent. b is finite, so that the exponent
// of a can be out of range only where the two differ or a is zero.
func sameValue(a, b string) bool {
	negA, digitsA, expA, okA := decimal(a)
	negB, digitsB, expB, okB := decimal(b)
	if digitsA == "" || digitsB == "" {
		return digitsA == digitsB
	}
	return okA && okB && negA == negB && digitsA == digitsB && expA == expB
}

// decimal splits a JSON number into sign, digits without zeros at either end, and the power of ten of its last digit. It
// is not ok where the exponent does not fit an int.
func decimal(s string) (neg bool, digits string, exp int, ok bool) {
	s, neg = strings.CutPrefix(s, "-")
	mantissa, ok := s, true
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		var err error
		exp, err = strconv.Atoi(s[i+1:])
		ok = err == nil
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exp -= len(fraction)
	short := strings.TrimRight(digits, "0")
	exp += len(digits) - len(short)
	return neg, short, exp, ok
}
