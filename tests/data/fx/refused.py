class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[2, 3]", c: "c32[2]"):
        y: "f32[2, 3]" = torch.add(x, [], frobnicated = (1, slice(None, 2, None), ...))
        z: "f32[2, 3]" = x.view(torch.complex64)
        a: "c32[2]" = c * 2
        b: "f32[2, 3]" = torch.add(y, z, alpha = a)
        return (b, a)
