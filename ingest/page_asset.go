package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"

	"github.com/valyala/fasthttp"
)

// pageAsset is a file of the page. Its name holds a hash of its content, so it may
// be cached for ever.
type pageAsset struct {
	url, kind   string
	plain, gzip []byte
}

var assetFiles = map[string]string{
	"page.css":   "text/css; charset=utf-8",
	"page.js":    "text/javascript; charset=utf-8",
	"flower.svg": "image/svg+xml",
}

// assets by their file, and the same by their name below /assets/.
var assets, assetsByName = func() (map[string]*pageAsset, map[string]*pageAsset) {
	byFile, byName := make(map[string]*pageAsset), make(map[string]*pageAsset)
	for file, kind := range assetFiles {
		b, err := pageFiles.ReadFile("page/" + file)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(file)
		name := strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:5]) + ext
		a := &pageAsset{
			url: "/assets/" + name, kind: kind,
			plain: b, gzip: fasthttp.AppendGzipBytesLevel(nil, b, fasthttp.CompressBestCompression),
		}
		byFile[file], byName[name] = a, a
	}
	return byFile, byName
}()

func assetURL(file string) string { return assets[file].url }

// asset is GET /assets/{name}.
func (s *Server) asset(ctx *fasthttp.RequestCtx, name string) {
	a := assetsByName[name]
	if a == nil {
		ctx.Error("not found\n", fasthttp.StatusNotFound)
		return
	}
	h := &ctx.Response.Header
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	ctx.SetContentType(a.kind)
	if ctx.Request.Header.HasAcceptEncoding("gzip") {
		h.Set("Content-Encoding", "gzip")
		ctx.Response.SetBodyRaw(a.gzip)
		return
	}
	ctx.Response.SetBodyRaw(a.plain)
}
