package reports

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
)

//go:embed page/*.html page/*.css page/*.js page/icon.svg
var pageFiles embed.FS

// pageAsset is a file of the pages. Its name holds a hash of its content, so it may
// be cached for ever.
type pageAsset struct {
	url, kind   string
	plain, gzip []byte
}

var pageAssetKinds = map[string]string{
	"page.css":   "text/css; charset=utf-8",
	"review.css": "text/css; charset=utf-8",
	"page.js":    "text/javascript; charset=utf-8",
	"icon.svg":   "image/svg+xml",
}

// pageAssets are all of them, by file and by name below /pages/.
var pageAssets = sync.OnceValue(func() map[string]*pageAsset {
	all := make(map[string]*pageAsset)
	for file, kind := range pageAssetKinds {
		b, err := pageFiles.ReadFile("page/" + file)
		if err != nil {
			continue // the tests ask for each
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(file)
		name := strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:5]) + ext
		a := &pageAsset{url: "/pages/" + name, kind: kind, plain: b, gzip: fasthttp.AppendGzipBytesLevel(nil, b, fasthttp.CompressBestCompression)}
		all[file], all[name] = a, a
	}
	return all
})

func pageAssetURL(file string) string {
	if a := pageAssets()[file]; a != nil {
		return a.url
	}
	return ""
}

// servePageAsset is GET /pages/{name}.
func servePageAsset(ctx *fasthttp.RequestCtx, name string) {
	a := pageAssets()[name]
	if a == nil || a.url != "/pages/"+name {
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
