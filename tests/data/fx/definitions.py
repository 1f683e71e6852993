class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[s0, 6]", y: "f32[s0, 6]", m: "b8[s0, 6]", c: "b8[6]", i: "i64[4]", n: "Sym(s0)"):
        a: "f32[s0, 6]" = torch.nn.functional.hardswish(x)
        b: "f32[s0, 6]" = torch.nn.functional.leaky_relu(a, negative_slope = 0.1)
        d: "f32[s0, 6]" = torch.lerp(a, b, 0.5)
        e: "f32[s0]" = torch.logsumexp(d, dim = -1)
        f: "f32[]" = torch.nn.functional.mse_loss(x, y, reduction = 'mean')
        d[(slice(None, None, None), c)] = 2.0
        d[m] = f
        g = torch.topk(d, 3, dim = -1);  d = None
        h: "f32[s0, 3]" = g[0]
        k: "i64[s0, 3]" = g[1];  g = None
        o: "f32[s0, 6]" = torch.cumsum(x, 1)
        p: "f32[4, 6]" = y.index_select(0, i)
        q: "f32[s0, 6]" = torch.nn.functional.group_norm(x, 3)
        r: "f32[s0, 6]" = x.index_put((None, c), f)
        t: "f32[u0]" = x[m]
        return (e, h, k, o, p, q, r, t)
