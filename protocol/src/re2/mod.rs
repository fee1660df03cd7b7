//! Regular expressions in RE2's syntax, as upstream reads them, for an engine that is as safe.
//!
//! Invariant: a pattern that RE2 refuses is refused, and what is accepted means what RE2 means by
//! it: the pattern is read by RE2's grammar and written anew, since the engine's own grammar has
//! more (nested classes, `\<`, the flag `x`) and other things by the same name (`\d` of all scripts).

mod unicode;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// RE2 counts no further.
const REPEAT_MAX: u32 = 1_000;

/// Bytes of a pattern. Upstream has no such bound: a pattern may be as long as a request.
const PATTERN_MAX: usize = 16 * 1024;

/// Bytes that a compiled pattern may take.
const PROGRAM_MAX: usize = 1024 * 1024;

/// Classes such as `\pL` in a pattern, and ranges beyond ASCII: each stands for many characters,
/// all of which have to be gone through where case does not count.
const UNICODE_CLASSES_MAX: usize = 64;

/// Why a pattern is none, in the words of upstream's RE2 where that refuses it, too: clients see them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("invalid escape sequence")]
    UnknownEscape,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("invalid character class range")]
    ClassRange,
    #[error("missing argument to repetition operator")]
    MissingArgument,
    #[error("invalid nested repetition operator")]
    NestedRepetition,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("invalid named capture")]
    GroupName,
    #[error("duplicate capture group name")]
    DuplicateGroupName,
    #[error("invalid or unsupported Perl syntax")]
    UnknownGroup,
    #[error("missing closing )")]
    MissingParenthesis,
    #[error("unexpected )")]
    UnexpectedParenthesis,
    #[error(
        "it has {0} bytes; at most {PATTERN_MAX} are taken: name fewer topics in it, or use a prefix"
    )]
    TooLong(usize),
    #[error("it has more than {UNICODE_CLASSES_MAX} classes or ranges of Unicode characters")]
    UnicodeClasses,
    #[error("{0}")]
    Engine(String),
}

/// A pattern that has to match a whole text.
pub fn whole(pattern: &str) -> Result<Regex, SyntaxError> {
    RegexBuilder::new(&translate(pattern, Texts::Unicode)?)
        .size_limit(PROGRAM_MAX)
        .build()
        .map_err(|error| SyntaxError::Engine(error.to_string()))
}

/// What a pattern is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    Unicode,
    /// Classes are cut down to ASCII, which makes small automata of them.
    Ascii,
}

/// The same for the engine, which matches the whole text or not at all.
pub fn translate(pattern: &str, texts: Texts) -> Result<String, SyntaxError> {
    if pattern.len() > PATTERN_MAX {
        return Err(SyntaxError::TooLong(pattern.len()));
    }
    let translated = Translator::new(pattern, texts).translated()?;
    Ok(format!(r"\A(?:{translated})\z"))
}

struct Translator<'a> {
    texts: Texts,
    rest: &'a str,
    output: String,
    /// There is something to repeat.
    has_argument: bool,
    /// What was read last is a repetition.
    after_repetition: bool,
    /// Flags that were set (`(?i)`) since the last element. A repetition that follows repeats that
    /// element, so that they are written behind it.
    flags: String,
    group_names: BTreeSet<&'a str>,
    /// Groups that are not closed yet.
    depth: usize,
    unicode_classes: usize,
}

/// One member of a character class.
enum Member {
    Literal(char),
    Class(String),
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str, texts: Texts) -> Self {
        Translator {
            texts,
            rest: pattern,
            output: String::with_capacity(pattern.len()),
            has_argument: false,
            after_repetition: false,
            flags: String::new(),
            group_names: BTreeSet::new(),
            depth: 0,
            unicode_classes: 0,
        }
    }

    fn translated(mut self) -> Result<String, SyntaxError> {
        while let Some(next) = self.rest.chars().next() {
            let was_repetition = std::mem::take(&mut self.after_repetition);
            match next {
                '*' | '+' | '?' => {
                    self.bump();
                    // Not `?` itself: behind `a+(?i)` it would make that lazy.
                    let text = if next == '?' {
                        "{0,1}".to_owned()
                    } else {
                        next.to_string()
                    };
                    self.repetition(text, was_repetition)?;
                }
                '{' if let Some((text, after)) = self.count() => {
                    self.rest = after;
                    self.repetition(checked_count(text)?, was_repetition)?;
                }
                _ => self.element(next)?,
            }
        }
        if self.depth > 0 {
            return Err(SyntaxError::MissingParenthesis);
        }
        Ok(self.output)
    }

    fn element(&mut self, next: char) -> Result<(), SyntaxError> {
        if next == '(' {
            return self.group();
        }
        self.write_flags();
        let quotes_nothing = self.rest.starts_with(r"\Q\E") || self.rest == r"\Q";
        self.has_argument = next != '|' && (self.has_argument || !quotes_nothing);
        match next {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '{' => {
                self.literal();
                // Upstream's RE2 takes even a brace without a count for a repetition.
                self.after_repetition = true;
            }
            ')' => {
                self.bump();
                self.depth = self
                    .depth
                    .checked_sub(1)
                    .ok_or(SyntaxError::UnexpectedParenthesis)?;
                self.output.push(')');
            }
            '.' | '^' | '$' | '|' => {
                self.bump();
                self.output.push(next);
            }
            _ => self.literal(),
        }
        Ok(())
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self) {
        if let Some(next) = self.bump() {
            push_literal(&mut self.output, next);
        }
    }

    fn repetition(&mut self, text: String, was_repetition: bool) -> Result<(), SyntaxError> {
        let is_lazy = self.take("?");
        if !self.has_argument {
            return Err(SyntaxError::MissingArgument);
        }
        if was_repetition {
            return Err(SyntaxError::NestedRepetition);
        }
        self.output.push_str(&text);
        if is_lazy {
            self.output.push('?');
        }
        self.after_repetition = true;
        Ok(())
    }

    /// What is between the braces, and what is behind them. None where it is no count: then the
    /// brace is a letter like others.
    fn count(&self) -> Option<(&'a str, &'a str)> {
        let (text, after) = self.rest.strip_prefix('{')?.split_once('}')?;
        let (least, most) = text.split_once(',').unwrap_or((text, ""));
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        (is_number(least) && (most.is_empty() || is_number(most))).then_some((text, after))
    }

    fn write_flags(&mut self) {
        self.output.push_str(&std::mem::take(&mut self.flags));
    }

    fn open(&mut self, group: &str) {
        self.write_flags();
        self.output.push_str(group);
        self.depth += 1;
        self.has_argument = false;
    }

    fn group(&mut self) -> Result<(), SyntaxError> {
        self.bump();
        if !self.take("?") {
            self.open("(");
            return Ok(());
        }
        for opening in ["P<", "<"] {
            if self.take(opening) {
                let Some((name, after)) = self.rest.split_once('>') else {
                    return Err(SyntaxError::GroupName);
                };
                let is_name = |char: char| char == '_' || char.is_ascii_alphanumeric();
                let is_name = !name.is_empty() && name.chars().all(is_name);
                if !is_name {
                    return Err(SyntaxError::GroupName);
                }
                if !self.group_names.insert(name) {
                    return Err(SyntaxError::DuplicateGroupName);
                }
                self.rest = after;
                // Names are for those who look at what was matched, which nobody does.
                self.open("(");
                return Ok(());
            }
        }
        let end = self.rest.find([':', ')']).unwrap_or(self.rest.len());
        let (text, after) = self.rest.split_at(end);
        let flags = checked_flags(text).filter(|_| !after.is_empty());
        let flags = flags.ok_or(SyntaxError::UnknownGroup)?;
        self.rest = after;
        if self.take(")") {
            if !flags.is_empty() {
                let _ = write!(self.flags, "(?{flags})");
            }
        } else {
            self.bump();
            self.open(&format!("(?{flags}:"));
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        if self.take(r"\Q") {
            let (quoted, after) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            self.rest = after;
            quoted
                .chars()
                .for_each(|char| push_literal(&mut self.output, char));
            return Ok(());
        }
        for (anchor, meaning) in [
            (r"\A", r"\A"),
            (r"\z", r"\z"),
            (r"\b", r"(?-u:\b)"),
            (r"\B", r"(?-u:\B)"),
        ] {
            if self.take(anchor) {
                self.output.push_str(meaning);
                return Ok(());
            }
        }
        match self.escaped()? {
            Member::Literal(char) => push_literal(&mut self.output, char),
            Member::Class(class) => {
                self.open_class();
                self.output.push_str(&class);
                self.close_class();
            }
        }
        Ok(())
    }

    /// An escape that may stand in a class, too.
    fn escaped(&mut self) -> Result<Member, SyntaxError> {
        self.bump();
        let next = self.bump().ok_or(SyntaxError::TrailingBackslash)?;
        let literal = match next {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                return Ok(Member::Class(perl_class(next).to_owned()));
            }
            'p' | 'P' => return self.unicode_class(next),
            'a' => '\x07',
            'f' => '\x0c',
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\x0b',
            'x' => self.hex().ok_or(SyntaxError::UnknownEscape)?,
            // One digit alone would refer back, which RE2 does not do.
            '1'..='7' if !self.rest.starts_with(|next| ('0'..='7').contains(&next)) => {
                return Err(SyntaxError::UnknownEscape);
            }
            '0'..='7' => self.octal(next),
            _ if next.is_ascii_alphanumeric() => return Err(SyntaxError::UnknownEscape),
            _ => next,
        };
        Ok(Member::Literal(literal))
    }

    fn octal(&mut self, first: char) -> char {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|next| next.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.bump();
        }
        char::from_u32(code).unwrap_or('\0')
    }

    fn hex(&mut self) -> Option<char> {
        let digits = if self.take("{") {
            let (digits, after) = self.rest.split_once('}')?;
            self.rest = after;
            digits
        } else {
            let (digits, after) = self.rest.split_at_checked(2)?;
            self.rest = after;
            digits
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    }

    /// `\pN`, `\p{Greek}`, `\p{^Greek}`
    fn unicode_class(&mut self, which: char) -> Result<Member, SyntaxError> {
        let unknown = || SyntaxError::ClassRange;
        let name = if self.take("{") {
            let (name, after) = self.rest.split_once('}').ok_or_else(unknown)?;
            self.rest = after;
            name.to_owned()
        } else {
            self.bump().ok_or_else(unknown)?.to_string()
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, which == 'p'),
            None => (name.as_str(), which == 'P'),
        };
        if !unicode::is_known(name) {
            return Err(unknown());
        }
        self.count_unicode_class()?;
        let letter = if negated { 'P' } else { 'p' };
        Ok(Member::Class(match (name, negated) {
            // The engine has other words for it.
            ("Any", false) | ("Cs", true) => r"[\x{0}-\x{10FFFF}]".to_owned(),
            // Surrogates are characters to Java alone.
            ("Any", true) | ("Cs", false) => r"[^\x{0}-\x{10FFFF}]".to_owned(),
            ("Unknown", false) => r"[\p{Cn}\p{Co}]".to_owned(),
            ("Unknown", true) => r"[^\p{Cn}\p{Co}]".to_owned(),
            _ => format!(r"\{letter}{{{name}}}"),
        }))
    }

    fn count_unicode_class(&mut self) -> Result<(), SyntaxError> {
        self.unicode_classes += 1;
        if self.unicode_classes > UNICODE_CLASSES_MAX {
            return Err(SyntaxError::UnicodeClasses);
        }
        Ok(())
    }

    fn open_class(&mut self) {
        if self.texts == Texts::Ascii {
            self.output.push('[');
        }
    }

    fn close_class(&mut self) {
        if self.texts == Texts::Ascii {
            self.output.push_str(r"&&[\x{0}-\x{7f}]]");
        }
    }

    fn class(&mut self) -> Result<(), SyntaxError> {
        self.bump();
        self.open_class();
        self.output.push('[');
        if self.take("^") {
            self.output.push('^');
        }
        let mut is_first = true;
        loop {
            if self.rest.is_empty() {
                return Err(SyntaxError::MissingBracket);
            }
            if !is_first && self.take("]") {
                self.output.push(']');
                self.close_class();
                return Ok(());
            }
            is_first = false;
            let low = match self.member()? {
                Member::Literal(low) => low,
                Member::Class(class) => {
                    self.output.push_str(&class);
                    continue;
                }
            };
            push_literal(&mut self.output, low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.bump();
                match self.char_of_class()? {
                    Member::Literal(high) if low <= high => {
                        if !high.is_ascii() {
                            self.count_unicode_class()?;
                        }
                        self.output.push('-');
                        push_literal(&mut self.output, high);
                    }
                    Member::Literal(_) => return Err(SyntaxError::ClassRange),
                    Member::Class(_) => return Err(SyntaxError::UnknownEscape),
                }
            }
        }
    }

    fn member(&mut self) -> Result<Member, SyntaxError> {
        if self.rest.starts_with("[:")
            && let Some(end) = self.rest.find(":]")
        {
            let (name, after) = self.rest.split_at(end + 2);
            let plain = name.trim_start_matches("[:^").trim_start_matches("[:");
            if !POSIX_CLASSES.contains(&plain.trim_end_matches(":]")) {
                return Err(SyntaxError::ClassRange);
            }
            self.rest = after;
            return Ok(Member::Class(name.to_owned()));
        }
        self.char_of_class()
    }

    /// What may end a range: a name may not.
    fn char_of_class(&mut self) -> Result<Member, SyntaxError> {
        if self.rest.starts_with('\\') {
            return self.escaped();
        }
        self.bump()
            .map(Member::Literal)
            .ok_or(SyntaxError::MissingBracket)
    }
}

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// As a class that may stand in a class. The engine's own are of all scripts.
fn perl_class(letter: char) -> &'static str {
    match letter {
        'd' => r"[0-9]",
        'D' => r"[^0-9]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        'w' => r"[0-9A-Za-z_]",
        _ => r"[^0-9A-Za-z_]",
    }
}

fn push_literal(output: &mut String, char: char) {
    if char.is_ascii_alphanumeric() || !char.is_ascii() {
        output.push(char);
    } else {
        let _ = write!(output, r"\x{{{:x}}}", u32::from(char));
    }
}

/// `im-s` without what the engine does not want: flags that are named twice, or switched both ways,
/// where switching off counts. None where these are no flags.
fn checked_flags(text: &str) -> Option<String> {
    let (on, off) = match text.split_once('-') {
        Some((_, "")) => return None,
        Some(both) => both,
        None => (text, ""),
    };
    if !on
        .chars()
        .chain(off.chars())
        .all(|flag| FLAGS.contains(flag))
    {
        return None;
    }
    let is_on = |flag: &char| on.contains(*flag) && !off.contains(*flag);
    let mut flags: String = FLAGS.chars().filter(is_on).collect();
    if !off.is_empty() {
        flags.push('-');
        flags.extend(FLAGS.chars().filter(|flag| off.contains(*flag)));
    }
    Some(flags)
}

const FLAGS: &str = "imsU";

fn checked_count(text: &str) -> Result<String, SyntaxError> {
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    let (least, most) = match text.split_once(',') {
        None => (number(text), number(text)),
        Some((least, "")) => (number(least), number(least)),
        Some((least, most)) => (number(least), number(most)),
    };
    if least > REPEAT_MAX || most > REPEAT_MAX || least > most {
        return Err(SyntaxError::RepeatCount);
    }
    Ok(format!("{{{text}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        match whole(pattern) {
            Ok(regex) => regex.is_match(text),
            Err(error) => panic!("{pattern}: {error}"),
        }
    }

    #[test]
    fn a_pattern_has_to_match_the_whole_text() {
        assert!(matches("a|ab", "ab"));
        assert!(matches("my-.*", "my-id"));
        assert!(!matches("my-", "my-id"));
        assert!(!matches("id", "my-id"));
        assert!(!matches("a", "a\n"));
        assert!(!matches("a$", "a\n"));
    }

    #[test]
    fn patterns_mean_what_they_mean_to_re2() {
        let cases = [
            (r"\Qa.b\E+", "a.bb", "axb"),
            (r"\Qa.b", "a.b", "axb"),
            ("a{,3}", "a{,3}", "aaa"),
            ("a{2}", "aa", "a{2}"),
            ("a{", "a{", "a"),
            ("(?P<n>a)(?<m>b)", "ab", "a"),
            (r"\d+", "12", "١٢"),
            (r"\w", "_", "é"),
            (r"\W", "é", "_"),
            (r"[\D]", "١", "1"),
            ("[[:alpha:]-]+", "a-b", "1"),
            ("[[:^digit:]]", "a", "1"),
            ("[]a]", "]", "b"),
            ("[^]a]", "b", "]"),
            ("[a-]", "-", "b"),
            ("[a[b]", "[", "c"),
            ("[a&&b]", "&", "c"),
            (r"[\d\-]", "-", "a"),
            (r"\<\>\-\_", "<>-_", "x"),
            (r"\101\x42\x{43}", "ABC", "abc"),
            (r"\pL\p{Greek}\PN\p{^Greek}", "aλbc", "1λbc"),
            ("(?i)AB(?-i)c", "abc", "abC"),
            ("(?is:A.)", "a\n", "b\n"),
            ("(?U)a+?", "aa", "b"),
            ("a*?b+?", "aab", "c"),
            ("x # y", "x # y", "x"),
            (r"a\bb|a\b-b", "a-b", "ab"),
            ("a(?i)*b", "aaB", "AB"),
            ("a+(?i)(?s)?", "", "b"),
            ("(?ii-ss)A", "a", "b"),
            ("(?i-i:A)", "A", "a"),
            ("[--[:word:]]", "A]", "a"),
            (r"\p{Any}[^\p{Cs}]", "ab", "a"),
            (r"\P{Unknown}\p{Nko}*", "a", "ab"),
        ];
        for (pattern, yes, no) in cases {
            assert!(matches(pattern, yes), "{pattern} and {yes}");
            assert!(!matches(pattern, no), "{pattern} and {no}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_much_to_make_is_refused() {
        let long = "a|".repeat(PATTERN_MAX);
        assert_eq!(whole(&long).err(), Some(SyntaxError::TooLong(long.len())));
        for class in [r"\pL", r"[\p{Any}]", r"[\x{0}-\x{10FFFF}]", "[a-é]?"] {
            let most = class.repeat(UNICODE_CLASSES_MAX);
            assert_ne!(whole(&most).err(), Some(SyntaxError::UnicodeClasses));
            let pattern = format!("(?i){most}{class}");
            assert_eq!(whole(&pattern).err(), Some(SyntaxError::UnicodeClasses));
        }
        assert!(whole("((a{1000}){1000}){1000}").is_err());
        assert!(whole(&format!("{}{}", "(".repeat(5_000), ")".repeat(5_000))).is_err());
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        let patterns = [
            "[",
            "[a",
            "[z-a]",
            "[[:foo:]]",
            r"[a-\d]",
            ")(",
            "(",
            ")",
            "(?P<",
            "(?P<a-b>x)",
            "(?=a)",
            "(?<=a)",
            "(?#a)",
            "(?x)a",
            "(?i",
            "(?-)",
            "(?i-)",
            "a{2,1}",
            "a{1001}",
            "a{1,1001}",
            "a**",
            "a*+",
            "a+*",
            "a{2}{3}",
            "a??*",
            "*",
            "+a",
            "(*a)",
            r"\",
            r"\C",
            r"\Z",
            r"\G",
            r"\8",
            r"\1",
            r"(a)\1",
            r"\y",
            r"\u0041",
            r"\x{110000}",
            r"\xg",
            r"\p{Nonsense}",
            r"\p{greek}",
            r"\p{Letter}",
            r"\p{Alphabetic}",
            r"\p{Adlam}",
            "(?P<n>a)(?<n>b)",
            "(?i)*",
            "a|(?i)*",
            r"\p",
            r"\k<a>",
            r"{*",
        ];
        for pattern in patterns {
            assert!(whole(pattern).is_err(), "{pattern}");
        }
    }
}
