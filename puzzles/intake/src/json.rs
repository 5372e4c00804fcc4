//! The size of a text, before a parser turns it into something larger.

use crate::{Budget, Exceeded, Resource};

impl Budget {
    /// Takes what a JSON text will be made of: an item for each list, object and text (names of fields included), and a
    /// level for each nesting. `longest` is the most bytes of one text: parsers copy it, and quote it in their errors.
    ///
    /// Numbers count nothing, since a reader keeps them in a byte or a few. Whether the text is JSON at all is left to the
    /// parser; the count holds up to the place where it is not.
    ///
    /// # Errors
    /// [`Exceeded`] if there are fewer items or levels left, or a text is longer.
    pub fn take_json(&mut self, json: &[u8], longest: u64) -> Result<(), Exceeded> {
        let (mut items, mut depth, mut deepest) = (0_u64, 0_u32, 0_u32);
        let mut rest = json;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b'[' | b'{' => {
                    items += 1;
                    depth = depth.saturating_add(1);
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'"' => {
                    items += 1;
                    let length = text_length(rest);
                    if length as u64 > longest {
                        return Err(Exceeded { resource: Resource::Text, found: length as u64, limit: longest });
                    }
                    rest = rest.get(length + 1..).unwrap_or_default();
                }
                _ => {}
            }
        }
        let allowed = self.levels_left();
        if deepest > allowed {
            return Err(self.too_deep(deepest - allowed));
        }
        self.take_items(items)
    }

    /// Takes the lines of a text, an item each. `longest` is the most bytes of one: parsers quote it in their errors.
    ///
    /// # Errors
    /// [`Exceeded`] if there are fewer items left, or a line is longer.
    pub fn take_lines(&mut self, text: &[u8], longest: u64) -> Result<(), Exceeded> {
        for line in text.split(|&byte| byte == b'\n') {
            if line.len() as u64 > longest {
                return Err(Exceeded { resource: Resource::Text, found: line.len() as u64, limit: longest });
            }
            self.take_items(1)?;
        }
        Ok(())
    }
}

/// Bytes up to the closing quote, or to the end where there is none.
fn text_length(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => return text.len(),
            Some(found) if text[at + found] == b'"' => return at + found,
            // What is escaped ends nothing.
            Some(found) => at = (at + found + 2).min(text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Budget, Limits};

    const LIMITS: Limits = Limits { bytes: 0, items: 6, depth: 3, time: None };

    fn refused(json: &str) -> String {
        Budget::new(LIMITS)
            .take_json(json.as_bytes(), 8)
            .map_or_else(|error| error.to_string(), |()| "taken".to_owned())
    }

    #[test]
    fn lists_objects_and_texts_count_and_numbers_do_not() {
        assert_eq!(refused(r#"{"a": [1, 2, 3, 4, 5, 6, 7], "b\"]": [8]}"#), "taken");
        assert_eq!(refused(r#"{"a": [1], "b": [8], "c": 1, "d": 2}"#), "7 items are more than the limit of 6");
        assert_eq!(refused("[[[]]]"), "taken");
        assert_eq!(refused("[[[[0]]]]"), "4 levels of nesting are more than the limit of 3");
        assert_eq!(refused(r#"["12345678"]"#), "taken");
        assert_eq!(refused(r#"["12345678\""]"#), "10 bytes of one text are more than the limit of 8");
        // Not JSON, and none of the scanner's business.
        assert_eq!(refused("]]]}}\"\\"), "taken");
        assert_eq!(refused("\"endless and so on"), "17 bytes of one text are more than the limit of 8");
    }

    #[test]
    fn lines_count_and_are_short() {
        let refused = |text: &[u8]| Budget::new(LIMITS).take_lines(text, 8).map_err(|error| error.to_string());
        refused(b"1\n\n3\n12345678\n5\n6").unwrap();
        assert_eq!(refused(b"\n\n\n\n\n\n").unwrap_err(), "7 items are more than the limit of 6");
        assert_eq!(refused(b"\n123456789").unwrap_err(), "9 bytes of one text are more than the limit of 8");
    }

    #[test]
    fn a_budget_is_used_up_by_several_texts() {
        let mut budget = Budget::new(LIMITS);
        budget.take_json(b"[[], [], []]", 8).unwrap();
        assert!(budget.take_json(b"[[], [], []]", 8).is_err());
        budget.take_json(b"[[]]", 8).unwrap();
        let mut within = Budget::new(LIMITS);
        within.enter().unwrap();
        let error = within.take_json(b"[[[0]]]", 8).unwrap_err();
        assert_eq!(error.to_string(), "4 levels of nesting are more than the limit of 3");
    }
}
