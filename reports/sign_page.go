package reports

import "github.com/valyala/fasthttp"

// reportKeyFile is where everybody finds what reports can be checked with.
const reportKeyFile = "report-key.pem"

// public is GET /pages/{name}.
func (p *Pages) public(ctx *fasthttp.RequestCtx, name string) {
	if name != reportKeyFile || len(p.Signer.Keys()) == 0 {
		servePageAsset(ctx, name)
		return
	}
	var text []byte
	for _, k := range p.Signer.Keys() {
		text = append(append(text, "canyu report key "+k.ID()+"\n"...), k.PEM()...)
	}
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBody(text)
}
