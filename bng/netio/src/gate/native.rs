//! Expressions that the nftnl crate lacks, by libnftnl itself.

use std::{
    ffi::{CStr, CString},
    ptr,
};

use nftnl::{Rule, expr::Expression, nftnl_sys as sys};

/// Our own names hold no NUL.
pub fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

/// An expression and its attributes.
pub struct Native {
    name: &'static CStr,
    numbers: Vec<(u16, u32)>,
    texts: Vec<(u16, CString)>,
}

impl Native {
    pub fn new(name: &'static CStr) -> Self {
        Self { name, numbers: Vec::new(), texts: Vec::new() }
    }

    pub fn number(mut self, attribute: u32, value: u32) -> Self {
        self.numbers.push((attribute as u16, value));
        self
    }

    pub fn text(mut self, attribute: u32, value: &str) -> Self {
        self.texts.push((attribute as u16, c_name(value)));
        self
    }
}

impl Expression for Native {
    fn to_expr(&self, _: &Rule) -> ptr::NonNull<sys::nftnl_expr> {
        // SAFETY: the name is a C string; the rule takes ownership of what is returned.
        let expression = unsafe { sys::nftnl_expr_alloc(self.name.as_ptr()) };
        // Null = out of memory (as the nftnl crate handles it), or a libnftnl from before 2014.
        let expression = ptr::NonNull::new(expression).unwrap_or_else(|| std::process::abort());
        for (attribute, value) in &self.numbers {
            // SAFETY: the expression is alive, and each attribute is one of its kind that is a u32.
            unsafe { sys::nftnl_expr_set_u32(expression.as_ptr(), *attribute, *value) };
        }
        for (attribute, value) in &self.texts {
            // SAFETY: as above, for a text; libnftnl copies it.
            unsafe { sys::nftnl_expr_set_str(expression.as_ptr(), *attribute, value.as_ptr()) };
        }
        expression
    }
}
