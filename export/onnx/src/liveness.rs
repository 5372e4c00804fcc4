//! The memory that a graph's values take while it runs, from their types and the order of its nodes.

use std::collections::HashMap;

use crate::graph::{Graph, ValueId};
use crate::operators::Op;
use crate::tensor::{Dim, TensorType};

/// The memory that an operator's outputs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The outputs have memory of their own.
    Own,
    /// The outputs lie in the memory of the first input, whose elements they are.
    View,
    /// The outputs overwrite an input of the same size that nobody else reads, if there is one.
    InPlace,
}

/// The most bytes that the values between a graph's inputs and outputs take at once, outputs included, when each lives
/// until its last reader has run and elementwise operators write over an input that nobody else reads. `None` when a size
/// is not fixed, or for a graph with a `Loop` or `Scan`.
///
/// A runtime takes somewhat more, since memory falls into pieces and a runtime has buffers of its own.
#[must_use]
pub fn peak_bytes(graph: &Graph) -> Option<usize> {
    let nodes = graph.nodes();
    let views = views(graph);
    let root = |id: ValueId| views.get(&id).copied().unwrap_or(id);
    let mut last_read = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        for &input in &node.inputs {
            last_read.insert(root(input), at);
        }
    }
    for &output in graph.outputs() {
        last_read.insert(root(output), nodes.len());
    }
    // Inputs and constants are there before and after.
    let mut sizes = HashMap::new();
    for node in nodes.iter().filter(|node| !is_view(&node.op)) {
        if !node.op.bodies().is_empty() {
            return None;
        }
        for &output in &node.outputs {
            sizes.insert(output, bytes(&graph.value(output).ty)?);
        }
    }
    let (mut live, mut peak) = (0_usize, 0_usize);
    for (at, node) in nodes.iter().enumerate().filter(|(_, node)| !is_view(&node.op)) {
        let mut ending = node.inputs.iter().map(|&input| root(input)).collect::<Vec<_>>();
        ending.sort_unstable();
        ending.dedup();
        ending.retain(|id| last_read.get(id) == Some(&at));
        let freed = |id: &ValueId| sizes.get(id).copied().unwrap_or(0);
        let wanted = node.outputs.iter().map(freed).sum::<usize>();
        let over = node.op.memory() == Memory::InPlace && ending.iter().any(|id| freed(id) == wanted);
        peak = peak.max(live + if over { 0 } else { wanted });
        live += wanted;
        live -= ending.iter().map(freed).sum::<usize>();
        // Nobody reads it: it is gone at once.
        live -= node.outputs.iter().filter(|id| !last_read.contains_key(id)).map(freed).sum::<usize>();
    }
    Some(peak.max(live))
}

/// Values that lie in another one's memory, each with that other one.
fn views(graph: &Graph) -> HashMap<ValueId, ValueId> {
    let mut views = HashMap::new();
    for node in graph.nodes().iter().filter(|node| is_view(&node.op)) {
        let source = views.get(&node.inputs[0]).copied().unwrap_or(node.inputs[0]);
        views.insert(node.outputs[0], source);
    }
    views
}

fn is_view(op: &Op) -> bool {
    op.memory() == Memory::View
}

fn bytes(ty: &TensorType) -> Option<usize> {
    ty.shape.iter().try_fold(ty.dtype.size(), |bytes, dim| match dim {
        Dim::Fixed(size) => bytes.checked_mul(*size),
        Dim::Batch => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, GraphBuilder, operators};

    fn vector(size: usize) -> TensorType {
        TensorType::new(DType::F32, [Dim::Fixed(size)])
    }

    #[test]
    fn values_live_from_their_node_to_their_last_reader() {
        let mut b = GraphBuilder::new("test", "");
        let (x, y) = (b.input("x", vector(100)), b.input("y", vector(100)));
        // 400 bytes each: two sums at once, the product over one of them, then the root over the product.
        let first = b.add(x, y).unwrap();
        let second = b.sub(x, y).unwrap();
        let product = b.mul(first, second).unwrap();
        let root = b.node(operators::Sqrt, &[product]).unwrap();
        b.output("root", root).unwrap();
        assert_eq!(peak_bytes(&b.finish()), Some(800));
    }

    #[test]
    fn views_take_nothing_and_keep_what_they_look_at() {
        let mut b = GraphBuilder::new("test", "");
        let x = b.input("x", vector(100));
        let sum = b.add(x, x).unwrap();
        let view = b.reshape(sum, &[Dim::Fixed(10), Dim::Fixed(10)]).unwrap();
        // A transposition cannot be written over what it reads, which the view's second reader still needs.
        let turned = b.transpose(view, &[1, 0]).unwrap();
        let product = b.mul(view, turned).unwrap();
        b.output("product", product).unwrap();
        assert_eq!(peak_bytes(&b.finish()), Some(800));
    }

    #[test]
    fn outputs_stay_and_what_nobody_reads_goes() {
        let mut b = GraphBuilder::new("test", "");
        let x = b.input("x", vector(100));
        let kept = b.add(x, x).unwrap();
        let _unread = b.mul(x, x).unwrap();
        let other = b.sub(x, kept).unwrap();
        b.output("kept", kept).unwrap();
        b.output("other", other).unwrap();
        assert_eq!(peak_bytes(&b.finish()), Some(800));
    }

    #[test]
    fn unknown_sizes_are_unknown() {
        let mut b = GraphBuilder::new("test", "");
        let x = b.input("x", TensorType::new(DType::F32, [Dim::Batch]));
        let sum = b.add(x, x).unwrap();
        b.output("sum", sum).unwrap();
        assert_eq!(peak_bytes(&b.finish()), None);
    }
}
