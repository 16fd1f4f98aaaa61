"""One job, documents in and examples out: what `autodata run` and `autodata.generate` share, and the latter itself."""
