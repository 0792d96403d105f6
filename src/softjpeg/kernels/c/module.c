/* Lets Python's import machinery find the library: its functions are called through ctypes. */
#include <Python.h>

#define PASTE(a, b) a##b
#define INIT(name) PASTE(PyInit_, name)
#define STRING(name) #name
#define NAME(name) STRING(name)

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, NAME(MODULE), NULL, -1, NULL};

PyMODINIT_FUNC INIT(MODULE)(void) {
    PyObject *self = PyModule_Create(&module);
    if (self && PyModule_AddStringConstant(self, "sources", DIGEST)) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}
