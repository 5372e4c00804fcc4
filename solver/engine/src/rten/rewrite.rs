//! Graphs that earlier versions of this project wrote.

use prost::Message as _;
use trm_onnx::proto::{GraphProto, ModelProto};
use trm_onnx::write::PRODUCER;

/// Writes a graph as this version does, so that rten can read it: lists of numbers unpacked, nodes with names of their own.
/// Returns `None` for a graph of another program, of which parts may not be known here.
pub(super) fn as_written_today(graph: &[u8]) -> Option<Vec<u8>> {
    let mut model = ModelProto::decode(graph).ok().filter(|model| model.producer_name == PRODUCER)?;
    name_nodes(model.graph.as_mut()?, &mut 0);
    Some(model.encode_to_vec())
}

fn name_nodes(graph: &mut GraphProto, count: &mut usize) {
    for node in &mut graph.node {
        node.name = format!("{}_{count}", node.op_type);
        *count += 1;
        for inner in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
            name_nodes(inner, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use trm_onnx::proto::NodeProto;

    use super::*;

    #[test]
    fn only_graphs_of_this_project_are_written_anew_and_nodes_get_names() {
        let node = |op: &str| NodeProto { op_type: op.to_owned(), ..NodeProto::default() };
        let graph = GraphProto { node: vec![node("Add"), node("Add")], ..GraphProto::default() };
        let mut model = ModelProto { producer_name: "pytorch".to_owned(), graph: Some(graph), ..ModelProto::default() };
        assert_eq!(as_written_today(&model.encode_to_vec()), None);
        assert_eq!(as_written_today(b"no graph"), None);
        model.producer_name = PRODUCER.to_owned();
        let written = as_written_today(&model.encode_to_vec()).expect("written");
        let nodes = ModelProto::decode(&written[..]).expect("a graph").graph.expect("a graph").node;
        assert_eq!(nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["Add_0", "Add_1"]);
    }
}
