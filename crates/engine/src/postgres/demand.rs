//! What must hold before a message may go on, as the server is asked it.

/// A condition that must not hold, and the plpgsql that looks again and raises.
pub(super) struct Demand {
    wrong: String,
    raise: String,
}

impl Demand {
    /// Raises `code` with `message` (quoted) where `wrong` holds.
    pub(super) fn new(wrong: String, code: &str, message: &str) -> Self {
        let raise = format!(
            "IF {wrong} THEN
 RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = {message};
END IF;
"
        );
        Self { wrong, raise }
    }

    /// Something that is done, and never wrong: `value` is never NULL.
    pub(super) fn done(value: &str) -> Self {
        Self {
            wrong: format!("{value} IS NULL"),
            raise: String::new(),
        }
    }

    /// plpgsql that raises what is wrong first. One question, because each costs a parse and a plan; CASE keeps their
    /// order. Only where something is wrong is each asked for itself: what is right by then goes on.
    pub(super) fn all(demands: &[Self]) -> String {
        let arms: Vec<_> = demands
            .iter()
            .map(|demand| format!("WHEN {} THEN true", demand.wrong))
            .collect();
        let raises: String = demands.iter().map(|demand| demand.raise.as_str()).collect();
        format!(
            "IF (CASE {} ELSE false END) THEN\n{raises}END IF;\n",
            arms.join("\n ")
        )
    }
}
