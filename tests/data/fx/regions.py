class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 3][3, 1]cpu", L_w_: "f32[3, 3][3, 1]cpu"):
        l_x_ = L_x_
        l_w_ = L_w_
        subgraph_0 = self.subgraph_0
        invoke_subgraph = torch.ops.higher_order.invoke_subgraph(subgraph_0, 'subgraph_0', l_x_, l_w_);  subgraph_0 = l_x_ = None
        getitem_4: "f32[2, 3][3, 1]cpu" = invoke_subgraph[0];  invoke_subgraph = None
        subgraph_1 = self.subgraph_0
        invoke_subgraph_1 = torch.ops.higher_order.invoke_subgraph(subgraph_1, 'subgraph_0', getitem_4, l_w_);  subgraph_1 = getitem_4 = l_w_ = None
        getitem_5: "f32[2, 3][3, 1]cpu" = invoke_subgraph_1[0];  invoke_subgraph_1 = None
        return (getitem_5,)
    class subgraph_0(torch.nn.Module):
        def forward(self, l_x_: "f32[2, 3][3, 1]cpu", l_w_: "f32[3, 3][3, 1]cpu"):
            matmul: "f32[2, 3][3, 1]cpu" = l_x_ @ l_w_;  l_x_ = l_w_ = None
            relu: "f32[2, 3][3, 1]cpu" = torch.relu(matmul);  matmul = None
            return (relu,)
