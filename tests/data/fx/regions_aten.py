class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "f32[2, 3][3, 1]cpu", arg1_1: "f32[3, 3][3, 1]cpu"):
        repeated_subgraph0 = self.repeated_subgraph0
        invoke_subgraph = torch.ops.higher_order.invoke_subgraph(repeated_subgraph0, 'subgraph_0', arg0_1, arg1_1);  repeated_subgraph0 = arg0_1 = None
        getitem: "f32[2, 3][3, 1]cpu" = invoke_subgraph[0];  invoke_subgraph = None
        repeated_subgraph0_1 = self.repeated_subgraph0
        invoke_subgraph_1 = torch.ops.higher_order.invoke_subgraph(repeated_subgraph0_1, 'subgraph_0', getitem, arg1_1);  repeated_subgraph0_1 = getitem = arg1_1 = None
        getitem_1: "f32[2, 3][3, 1]cpu" = invoke_subgraph_1[0];  invoke_subgraph_1 = None
        return (getitem_1,)
    class repeated_subgraph0(torch.nn.Module):
        def forward(self, arg0_1: "f32[2, 3][3, 1]cpu", arg1_1: "f32[3, 3][3, 1]cpu"):
            mm: "f32[2, 3][3, 1]cpu" = torch.ops.aten.mm.default(arg0_1, arg1_1);  arg0_1 = arg1_1 = None
            relu: "f32[2, 3][3, 1]cpu" = torch.ops.aten.relu.default(mm);  mm = None
            return (relu,)
