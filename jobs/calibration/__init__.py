"""How noisy the judge is.

`sample` chooses marked attempts, `remark` marks them again, `agreement` and `flips` say what their findings come to,
`labels` reads what people found, and `calibrate` puts it together for `autodata calibrate`.
"""
