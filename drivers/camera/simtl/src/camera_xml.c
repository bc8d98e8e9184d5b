/* Links camera.xml into the producer, so that one file is all it needs. The build says where it lies (-DCAMERA_XML). */
#include "registers.h"

__asm__(".section .rodata\n"
        ".global camera_xml\n"
        ".hidden camera_xml\n"
        "camera_xml:\n"
        ".incbin \"" CAMERA_XML "\"\n"
        ".global camera_xml_end\n"
        ".hidden camera_xml_end\n"
        "camera_xml_end:\n"
        ".byte 0\n"
        ".previous\n");
