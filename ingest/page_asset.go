package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
)

// pageAsset is a file of the page. Its name holds a hash of its content, so it may
// be cached for ever.
type pageAsset struct {
	name, kind          string
	plain, gzip, brotli []byte // compressed: nil where that makes it no smaller
}

func (a *pageAsset) url() string { return "/assets/" + a.name }

// size is what goes over the wire.
func (a *pageAsset) size() int {
	if a.gzip != nil {
		return len(a.gzip)
	}
	return len(a.plain)
}

func newAsset(file, kind string, content []byte) *pageAsset {
	sum := sha256.Sum256(content)
	ext := path.Ext(file)
	a := &pageAsset{
		name: strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:5]) + ext, kind: kind, plain: content,
		gzip:   fasthttp.AppendGzipBytesLevel(nil, content, fasthttp.CompressBestCompression),
		brotli: fasthttp.AppendBrotliBytesLevel(nil, content, fasthttp.CompressBrotliBestCompression),
	}
	if len(a.gzip) >= len(content) { // a picture
		a.gzip, a.brotli = nil, nil
	}
	return a
}

// The kinds of assets.
const (
	kindCSS    = "text/css; charset=utf-8"
	kindScript = "text/javascript; charset=utf-8"
	kindSVG    = "image/svg+xml"
)

// scripts are sent as one file, in this order.
var scripts = []string{"outbox.js", "ritual.js", "thanks.js", "form.js", "place.js", "class.js"}

// assets are the page's own, by their file.
var assets = sync.OnceValue(func() map[string]*pageAsset {
	file := func(name string) []byte {
		b, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return b
	}
	var script []byte
	for _, name := range scripts {
		script = append(script, file(name)...)
	}
	return map[string]*pageAsset{
		"wall.css":   newAsset("wall.css", kindCSS, file("wall.css")),
		"page.css":   newAsset("page.css", kindCSS, file("page.css")),
		"page.js":    newAsset("page.js", kindScript, script),
		"flower.svg": newAsset("flower.svg", kindSVG, file("flower.svg")),
	}
})

func assetURL(file string) string { return assets()[file].url() }

// assetNamed is one of the page's own or of a theme's, or nil.
func (s *Server) assetNamed(name string) *pageAsset {
	for _, a := range assets() {
		if a.name == name {
			return a
		}
	}
	for _, t := range s.Themes {
		if a := t.asset(name); a != nil {
			return a
		}
	}
	return nil
}

// asset is GET /assets/{name}.
func (s *Server) asset(ctx *fasthttp.RequestCtx, name string) {
	a := s.assetNamed(name)
	if a == nil {
		ctx.Error("not found\n", fasthttp.StatusNotFound)
		return
	}
	h := &ctx.Response.Header
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // a picture opened by itself
	h.Set("Vary", "Accept-Encoding")
	ctx.SetContentType(a.kind)
	accepts := ctx.Request.Header.HasAcceptEncoding
	switch {
	case a.brotli != nil && accepts("br"):
		h.Set("Content-Encoding", "br")
		ctx.Response.SetBodyRaw(a.brotli)
	case a.gzip != nil && accepts("gzip"):
		h.Set("Content-Encoding", "gzip")
		ctx.Response.SetBodyRaw(a.gzip)
	default:
		ctx.Response.SetBodyRaw(a.plain)
	}
}
