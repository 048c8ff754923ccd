package main

import (
	"log/slog"

	"github.com/valyala/fasthttp"
)

// pages answers /school/…, /bureau/… and /pages/…. Nil: this program has none.
func (s *settings) pages(_ *engines, _ []byte, _ *slog.Logger) fasthttp.RequestHandler { return nil }
