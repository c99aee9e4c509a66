//! The paths that code writes down: in `use` trees, types, expressions, patterns, attributes and the tokens of macro calls.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Field, FieldValue, ImplItem, Item, Local, Meta, TraitItem, UseTree};

use crate::tree::is_for_tests;

/// A path, where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Its names. The last one of a glob import is `*`.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// What it is called from then on in its module, where it is an import.
    pub(crate) imported_as: Option<String>,
}

/// All paths of these items, except those of modules, which are modules of their own.
pub(crate) fn of_items(items: &[Item]) -> Vec<Written> {
    let mut paths = Paths(Vec::new());
    for item in items.iter().filter(|item| !matches!(item, Item::Mod(_))) {
        paths.visit_item(item);
    }
    paths.0
}

struct Paths(Vec<Written>);

impl Paths {
    fn add(&mut self, segments: Vec<String>, line: usize) {
        self.0.push(Written { segments, line, imported_as: None });
    }

    fn add_use(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &Ident| match name.to_string() {
            // `a::b::{self}` is `a::b`.
            name if name == "self" && !prefix.is_empty() => prefix.to_vec(),
            name => [prefix, &[name]].concat(),
        };
        let (segments, span, name) = match tree {
            UseTree::Path(path) => return self.add_use(&with(&path.ident), &path.tree),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.add_use(prefix, tree)),
            UseTree::Glob(glob) => ([prefix, &["*".to_owned()]].concat(), glob.star_token.spans[0], None),
            UseTree::Name(name) => (with(&name.ident), name.ident.span(), None),
            UseTree::Rename(rename) => (with(&rename.ident), rename.ident.span(), Some(rename.rename.to_string())),
        };
        let name = name.or_else(|| segments.last().cloned()).unwrap_or_default();
        let line = span.start().line;
        self.0.push(Written { segments, line, imported_as: Some(name) });
    }

    /// The paths in tokens that nothing has parsed: `a::b`, and `a::{b, c::d}` as an import has it.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Group(group) if colons == 2 && group.delimiter() == Delimiter::Brace => {
                    let tree = TokenStream::from(TokenTree::Group(group.clone()));
                    match syn::parse2::<UseTree>(tree) {
                        Ok(tree) => self.add_use(&std::mem::take(&mut path), &tree),
                        Err(_) => self.add_tokens(group.stream()),
                    }
                }
                other => {
                    self.end(&mut path, line);
                    line = other.span().start().line;
                    match other {
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
            colons = 0;
        }
        self.end(&mut path, line);
    }

    /// One name alone is no path: it can be anything.
    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.add(path, line);
        }
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_for_tests(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'a TraitItem) {
        if !matches!(item, TraitItem::Fn(item) if is_for_tests(&item.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_local(&mut self, local: &'a Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_field(&mut self, field: &'a Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'a FieldValue) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), line);
        visit::visit_path(self, path);
    }

    /// Where an item may be seen is no import.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
