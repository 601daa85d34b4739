//go:build !cgo

package curve

var chosen portable
